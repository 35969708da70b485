package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What the hashes are made of, for either kind of vector.

// rotate rotates every word of from right by n bits. With AVX2 it takes the
// last register of temps.
func (v *vector) rotate(n int, from, to vreg) {
	if v.wide() {
		v.pick(v.VPRORD, v.VPRORQ)(operand.Imm(uint64(n)), from, to)
		return
	}
	spare := v.temps[len(v.temps)-1]
	v.shiftLeft(8*v.word-n, from, spare)
	v.shiftRight(n, from, to)
	v.VPOR(spare, to, to)
}

func (v *vector) shiftLeft(n int, from, to vreg) {
	v.pick(v.VPSLLD, v.VPSLLQ)(operand.Imm(uint64(n)), from, to)
}

func (v *vector) shiftRight(n int, from, to vreg) {
	v.pick(v.VPSRLD, v.VPSRLQ)(operand.Imm(uint64(n)), from, to)
}

// sigma is the sum modulo 2 of three rotations, of which the last can be a
// shift, in temps[0]. It takes the two registers behind and the last.
func (v *vector) sigma(by [3]int, shift bool, from, to vreg) {
	last := v.rotate
	if shift {
		last = v.shiftRight
	}
	v.rotate(by[0], from, to)
	v.rotate(by[1], from, v.temps[1])
	last(by[2], from, v.temps[2])
	v.parity(v.temps[1], v.temps[2], to, to)
}

// choose is y where x is one and z where it is zero. Of the arguments to may be
// x.
func (v *vector) choose(x, y, z, to vreg) {
	if v.wide() {
		v.ternary(0xca, x, y, z, to)
		return
	}
	spare := v.temps[len(v.temps)-1]
	v.VPXOR(y, z, spare)
	v.VPAND(x, spare, to)
	v.VPXOR(z, to, to)
}

// majority is what two or three of the arguments are. Of them to may be x.
func (v *vector) majority(x, y, z, to vreg) {
	if v.wide() {
		v.ternary(0xe8, x, y, z, to)
		return
	}
	spare := v.temps[len(v.temps)-1]
	v.VPXOR(y, z, spare)
	v.VPXOR(x, y, to)
	v.VPAND(spare, to, to)
	v.VPXOR(y, to, to)
}

// parity is the sum modulo 2 of the arguments. Of them to may be z.
func (v *vector) parity(x, y, z, to vreg) {
	if v.wide() {
		v.ternary(0x96, z, x, y, to)
		return
	}
	v.VPXOR(z, x, to)
	v.VPXOR(y, to, to)
}

// ternary is a function of three bits by its table. Of the arguments to may be
// x.
func (v *vector) ternary(table uint64, x, y, z, to vreg) {
	if x != to {
		v.VMOVDQA64(x, to)
	}
	v.VPTERNLOGD(operand.Imm(table), z, y, to)
}

// addConstant adds a constant to every word. With AVX2 it takes temps[0].
func (v *vector) addConstant(k operand.Mem, to vreg) {
	if v.wide() {
		v.pick(v.VPADDD_BCST, v.VPADDQ_BCST)(k, to, to)
		return
	}
	if v.word == 4 {
		v.VPBROADCASTD(k, v.temps[0])
		v.VPADDD(v.temps[0], to, to)
	} else {
		v.VPBROADCASTQ(k, v.temps[0])
		v.VPADDQ(v.temps[0], to, to)
	}
}

// reversal is the operand with which VPSHUFB reverses the bytes of each word.
func reversal(c *build.Context, word int) operand.Mem {
	m := c.StaticGlobal("reversal")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 64 {
		c.AddDatum(i, operand.U8(i%16/word*word+word-1-i%word))
	}
	return m
}

func constants32(c *build.Context, name string, k []uint32) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, w := range k {
		c.AddDatum(4*i, operand.U32(w))
	}
	return m
}

func constants64(c *build.Context, name string, k []uint64) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, w := range k {
		c.AddDatum(8*i, operand.U64(w))
	}
	return m
}

// zmm, ymm and xmm are the registers of AVX-512, of AVX2 and of SSE.
var zmm, ymm, xmm = registers(32, vreg.AsZ), registers(16, vreg.AsY), registers(16, vreg.AsX)

func registers(n reg.Index, as func(vreg) reg.Register) (all []vreg) {
	for i := range n {
		all = append(all, as(reg.Vector.Lookup(i, reg.S512).(vreg)).(vreg))
	}
	return all
}
