package main

import (
	"math/big"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// sha2 is what the two widths of SHA2 differ in (FIPS 180-4, sections 4.1.2
// and 4.1.3): the rotations, and of the schedule's sigmas the last is a shift.
type sha2 struct {
	rounds                 int
	sum0, sum1, sig0, sig1 [3]int
}

var (
	sha256 = sha2{64, [3]int{2, 13, 22}, [3]int{6, 11, 25}, [3]int{7, 18, 3}, [3]int{17, 19, 10}}
	sha512 = sha2{80, [3]int{28, 34, 39}, [3]int{14, 18, 41}, [3]int{1, 8, 7}, [3]int{19, 61, 6}}
)

// constants are the first 64 bits of the fractional parts of the cube roots of
// the first prime numbers, as section 4.2.3 has it; those of section 4.2.2 are
// the first 32 bits of the same.
func (s sha2) constants() []uint64 {
	var k []uint64
	for p := int64(2); len(k) < s.rounds; p++ {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		// The cube root of p shifted by 3*64 is that of p, shifted by 64.
		k = append(k, cubeRoot(new(big.Int).Lsh(big.NewInt(p), 3*64)).Uint64())
	}
	return k
}

// cubeRoot is the integer part of n's cube root, modulo 2^64.
func cubeRoot(n *big.Int) *big.Int {
	root := new(big.Int)
	for bit := n.BitLen()/3 + 1; bit >= 0; bit-- {
		next := new(big.Int).SetBit(root, bit, 1)
		if new(big.Int).Exp(next, big.NewInt(3), nil).Cmp(n) <= 0 {
			root = next
		}
	}
	return root.And(root, new(big.Int).SetUint64(1<<64-1))
}

// sha256Kernels emits SHA256 in vectors.
func sha256Kernels(c *build.Context) {
	flip, table := reversal(c, 4), constants32(c, "sha256Constants", sha256.constants32())
	wide := &vector{Context: c, size: 64, word: 4, flip: flip, table: table}
	wide.hash("sha256x16", "sha256x16 runs SHA256 in sixteen lanes, with AVX-512.", 8, func() { wide.sha2(sha256) })
	narrow := &vector{Context: c, size: 32, word: 4, flip: flip, table: table}
	narrow.hash("sha256x8", "sha256x8 runs SHA256 in eight lanes, with AVX2.", 8, func() { narrow.sha2(sha256) })
}

// sha512Kernels emits SHA512, which SHA384 is too, in vectors.
func sha512Kernels(c *build.Context) {
	flip, table := reversal(c, 8), constants64(c, "sha512Constants", sha512.constants())
	wide := &vector{Context: c, size: 64, word: 8, flip: flip, table: table}
	wide.hash("sha512x8", "sha512x8 runs SHA512 in eight lanes, with AVX-512.", 8, func() { wide.sha2(sha512) })
	narrow := &vector{Context: c, size: 32, word: 8, flip: flip, table: table}
	narrow.hash("sha512x4", "sha512x4 runs SHA512 in four lanes, with AVX2.", 8, func() { narrow.sha2(sha512) })
}

// sha2 is a loop of 16 rounds, after each of which the schedule replaces the
// word that it used, and 16 rounds more that leave the words as they are.
func (v *vector) sha2(s sha2) {
	v.LEAQ(v.table, tableReg)
	v.MOVL(operand.U32(s.rounds/16-1), countReg.As32())
	v.Label("rounds")
	for i := range 16 {
		v.sha2Round(s, i)
		v.sha2Schedule(s, i)
	}
	v.ADDQ(operand.Imm(uint64(v.block())), tableReg)
	v.DECQ(countReg)
	v.JNZ(operand.LabelRef("rounds"))
	for i := range 16 {
		v.sha2Round(s, i)
	}
}

func (v *vector) sha2Round(s sha2, i int) {
	at := func(n int) vreg { return v.state[(n+16-i)%8] }
	a, b, c, d, e, f, g, h := at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)
	add := v.pick(v.VPADDD, v.VPADDQ)
	t, u := v.temps[0], v.temps[3]
	v.addConstant(operand.Mem{Base: tableReg, Disp: i * v.word}, h)
	add(v.message(i), h, h)
	v.choose(e, f, g, u)
	add(u, h, h)
	v.sigma(s.sum1, false, e, t)
	add(t, h, h)
	add(h, d, d)
	v.majority(a, b, c, u)
	add(u, h, h)
	v.sigma(s.sum0, false, a, t)
	add(t, h, h)
}

// sha2Schedule makes word i+16 of the message in the place of word i.
func (v *vector) sha2Schedule(s sha2, i int) {
	add := v.pick(v.VPADDD, v.VPADDQ)
	t, w1, w14 := v.temps[0], v.temps[3], v.temps[3]
	w := v.temps[4]
	if v.wide() {
		w, w1, w14 = v.words[i], v.words[(i+1)%16], v.words[(i+14)%16]
	} else {
		v.VMOVDQU(v.message(i), w)
		v.VMOVDQU(v.message(i+1), w1)
	}
	v.sigma(s.sig0, true, w1, t)
	add(v.message(i+9), w, w)
	add(t, w, w)
	if !v.wide() {
		v.VMOVDQU(v.message(i+14), w14)
	}
	v.sigma(s.sig1, true, w14, t)
	add(t, w, w)
	if !v.wide() {
		v.VMOVDQU(w, v.message(i))
	}
}

func (s sha2) constants32() []uint32 {
	var k []uint32
	for _, w := range s.constants() {
		k = append(k, uint32(w>>32))
	}
	return k
}
