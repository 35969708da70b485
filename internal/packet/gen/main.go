// Command gen writes the checksum kernels of package packet for amd64. It is
// a module of its own, so that the product does not depend on the assembler.
package main

import (
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	kernel("sumAVX2", false)
	kernel("copySumAVX2", true)
	Generate()
}

const (
	lane   = 32 // bytes of a register
	stride = 4  // registers of a step
)

// kernel is a function that sums bytes up as 64-bit words in the order of the
// machine, with end-around carry, and that may copy them on the way.
//
// Words of 32 bits are added to sums of 64, which cannot overflow: no carry is
// looked at but at the end.
func kernel(name string, store bool) {
	signature, what := "func(src *byte, n int) uint64", " sums the n bytes at src up, as 64-bit words in the"
	if store {
		signature, what = "func(dst, src *byte, n int) uint64", " copies n bytes and sums them up, as 64-bit words in the"
	}
	TEXT(name, NOSPLIT, signature)
	Doc(name+what, "order of the machine. The last is padded by zeros.")
	Pragma("noescape")
	k := newState(store)

	// 128 bytes a step.
	Label("big")
	CMPQ(k.n, U32(stride*lane))
	JB(LabelRef("small"))
	for i := range stride {
		k.add(i, i*lane)
	}
	k.advance(stride * lane)
	JMP(LabelRef("big"))

	// 32 bytes a step.
	Label("small")
	CMPQ(k.n, Imm(lane))
	JB(LabelRef("tail"))
	k.add(0, 0)
	k.advance(lane)
	JMP(LabelRef("small"))

	Label("tail")
	sum := k.reduce()
	VZEROUPPER()
	word := GP64()
	for _, size := range []int{16, 8, 4, 2, 1} {
		k.rest(sum, word, size)
	}
	Store(sum, ReturnIndex(0))
	RET()
}

type state struct {
	src, dst, n reg.Register
	store       bool
	mask        reg.VecVirtual
	sums        [stride]reg.VecVirtual
}

func newState(store bool) *state {
	k := &state{store: store}
	if store {
		k.dst = Load(Param("dst"), GP64())
	}
	k.src = Load(Param("src"), GP64())
	k.n = Load(Param("n"), GP64())
	k.mask = YMM()
	VPCMPEQD(k.mask, k.mask, k.mask)
	VPSRLQ(Imm(32), k.mask, k.mask)
	for i := range k.sums {
		k.sums[i] = YMM()
		VPXOR(k.sums[i], k.sums[i], k.sums[i])
	}
	return k
}

// add adds 32 bytes at an offset to sum i.
func (k *state) add(i, at int) {
	words, low := YMM(), YMM()
	VMOVDQU(Mem{Base: k.src, Disp: at}, words)
	if k.store {
		VMOVDQU(words, Mem{Base: k.dst, Disp: at})
	}
	VPAND(words, k.mask, low)
	VPSRLQ(Imm(32), words, words)
	VPADDQ(low, k.sums[i], k.sums[i])
	VPADDQ(words, k.sums[i], k.sums[i])
}

func (k *state) advance(n int) {
	ADDQ(U32(n), k.src)
	if k.store {
		ADDQ(U32(n), k.dst)
	}
	SUBQ(U32(n), k.n)
}

// reduce adds all sums up.
func (k *state) reduce() reg.GPVirtual {
	VPADDQ(k.sums[1], k.sums[0], k.sums[0])
	VPADDQ(k.sums[3], k.sums[2], k.sums[2])
	VPADDQ(k.sums[2], k.sums[0], k.sums[0])
	half := YMM()
	VEXTRACTI128(Imm(1), k.sums[0], half.AsX())
	VPADDQ(half.AsX(), k.sums[0].AsX(), half.AsX())
	VPSRLDQ(Imm(8), half.AsX(), k.sums[0].AsX())
	VPADDQ(k.sums[0].AsX(), half.AsX(), half.AsX())
	sum := GP64()
	VMOVQ(half.AsX(), sum)
	return sum
}

// rest adds that many bytes to the sum, if n has that bit.
func (k *state) rest(sum, word reg.GPVirtual, size int) {
	skip := "not" + strconv.Itoa(size)
	TESTQ(U32(size), k.n)
	JZ(LabelRef(skip))
	src, dst := Mem{Base: k.src}, Mem{Base: k.dst}
	switch size {
	case 16:
		second := GP64()
		MOVQ(src, word)
		MOVQ(src.Offset(8), second)
		if k.store {
			MOVQ(word, dst)
			MOVQ(second, dst.Offset(8))
		}
		ADDQ(word, sum)
		ADCQ(second, sum)
	case 8:
		MOVQ(src, word)
		if k.store {
			MOVQ(word, dst)
		}
		ADDQ(word, sum)
	case 4:
		MOVL(src, word.As32())
		if k.store {
			MOVL(word.As32(), dst)
		}
		ADDQ(word, sum)
	case 2:
		MOVWLZX(src, word.As32())
		if k.store {
			MOVW(word.As16(), dst)
		}
		ADDQ(word, sum)
	case 1:
		MOVBLZX(src, word.As32())
		if k.store {
			MOVB(word.As8(), dst)
		}
		ADDQ(word, sum)
	}
	ADCQ(Imm(0), sum)
	if size > 1 {
		ADDQ(U32(size), k.src)
		if k.store {
			ADDQ(U32(size), k.dst)
		}
	}
	Label(skip)
}
