package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

var sha1Constants = []uint32{0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6}

// sha1Kernels emits SHA1 (FIPS 180-4, section 6.1.2) in vectors.
func sha1Kernels(c *build.Context) {
	flip, table := reversal(c, 4), constants32(c, "sha1Constants", sha1Constants)
	for _, size := range []int{64, 32} {
		v := &vector{Context: c, size: size, word: 4, flip: flip, table: table}
		if v.wide() {
			v.hash("sha1x16", "sha1x16 runs SHA1 in sixteen lanes, with AVX-512.", 5, v.sha1)
		} else {
			v.hash("sha1x8", "sha1x8 runs SHA1 in eight lanes, with AVX2.", 5, v.sha1)
		}
	}
}

func (v *vector) sha1() {
	v.sha1Add(0, v.state[4])
	for i := range 80 {
		v.sha1Round(i)
	}
}

// sha1Add adds to e what round i takes from the message and the constants, and
// makes a word of the message for a later round: neither has to wait for the round
// before, so neither delays anything.
func (v *vector) sha1Add(i int, e vreg) {
	const ahead = 3
	v.addConstant(v.table.Offset(4*(i/20)), e)
	v.VPADDD(v.message(i), e, e)
	if i+ahead >= 16 && i+ahead < 80 {
		v.sha1Schedule(i + ahead)
	}
}

// sha1Round takes the register of b, which is used for the last time before it
// is rotated, to work in, and puts what is rotated into a free one. What every
// other step of a round waits for is first.
func (v *vector) sha1Round(i int) {
	s, f, rotated := v.state, v.state[1], v.temps[1]
	a, b, c, d, e := s[0], v.temps[2], s[2], s[3], s[4]
	v.rotate(27, a, rotated)
	v.rotate(2, f, b)
	switch i / 20 {
	case 0:
		v.choose(f, c, d, f)
	case 2:
		v.majority(f, c, d, f)
	default:
		v.parity(c, d, f, f)
	}
	v.VPADDD(f, e, e)
	v.VPADDD(rotated, e, e)
	if i < 79 {
		v.sha1Add(i+1, d) // d is the next round's e
	}
	v.temps[2] = f
	v.state = []vreg{e, a, b, c, d}
}

// sha1Schedule makes word i of the message out of those 3, 8, 14 and 16 before.
func (v *vector) sha1Schedule(i int) {
	if v.wide() {
		w := v.words[i%16]
		v.VPTERNLOGD(operand.Imm(0x96), v.message(i-8), v.message(i-14), w)
		v.VPXORD(v.message(i-3), w, w)
		v.VPROLD(operand.Imm(1), w, w)
		return
	}
	w := v.temps[3]
	v.VMOVDQU(v.message(i), w)
	v.VPXOR(v.message(i-3), w, w)
	v.VPXOR(v.message(i-8), w, w)
	v.VPXOR(v.message(i-14), w, w)
	v.rotate(31, w, w)
	v.VMOVDQU(w, v.message(i))
}
