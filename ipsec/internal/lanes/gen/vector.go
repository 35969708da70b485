package main

import (
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets in bytes of what the kernels use of lanes.group.
const (
	groupCursor = 0
	groupAfter  = groupCursor + 16*8
	groupState  = groupAfter + 16*8
	groupBody   = groupState + 16*8
	groupTotal  = groupBody + 16*4
	groupRows   = groupTotal + 16*4
	groupWords  = groupRows + 8*64
	groupRing   = groupWords + 8*64
	groupEnds   = groupRing + 2*16*64
	groupICVs   = groupEnds + 2*16*64
	groupKeys   = groupICVs + 16*16
)

// The registers of a hash kernel's arguments, and what else it counts with.
var (
	groupReg  = reg.RDI
	blocksReg = reg.RSI
	cursorReg = reg.RAX
	tableReg  = reg.R8
	countReg  = reg.R9
)

type vreg = reg.VecPhysical

// vector emits a hash that runs in every lane of a vector, each lane with a
// message of its own: vectors of 64 bytes with AVX-512 or of 32 bytes with
// AVX2, and words of 4 or of 8 bytes.
type vector struct {
	*build.Context
	size  int         // bytes of a vector
	word  int         // bytes of a word
	flip  operand.Mem // what reverses the bytes of each word
	table operand.Mem // the hash's constants

	state []vreg // what the rounds work on
	temps []vreg // free registers, eight or more
	words []vreg // AVX-512: the last 16 words of the message; AVX2 has them in memory
}

func (v *vector) lanes() int { return v.size / v.word }
func (v *vector) block() int { return 16 * v.word }
func (v *vector) wide() bool { return v.size == 64 }

// ofGroup is a place in the group.
func ofGroup(offset int) operand.Mem { return operand.Mem{Base: groupReg, Disp: offset} }

// pick is the instruction for words of 4 bytes or for those of 8.
func (v *vector) pick(four, eight func(...operand.Op)) func(...operand.Op) {
	if v.word == 4 {
		return four
	}
	return eight
}

// hash emits the function name, whose rounds mix the 16 words of a block into
// that many words of state.
func (v *vector) hash(name, doc string, state int, rounds func()) {
	v.allocate(state)
	v.Function(name)
	v.Attributes(attr.NOSPLIT)
	v.SignatureExpr("func(lanes *byte, blocks int)")
	v.Pragma("noescape")
	v.Doc(doc)
	v.Load(v.Param("lanes"), groupReg)
	v.Load(v.Param("blocks"), blocksReg)
	v.enter()
	if v.wide() && state == 5 {
		v.pipelined(rounds)
	} else {
		v.oneByOne(rounds)
	}
	v.leave()
	v.VZEROUPPER()
	v.RET()
}

// oneByOne emits a loop that loads a block and then hashes it.
func (v *vector) oneByOne(rounds func()) {
	v.Label("block")
	for i, r := range v.state {
		v.move(ofGroup(groupRows+i*v.size), r)
	}
	if v.wide() {
		v.load()
		v.advanceMasks()
		rounds()
		v.foldMasked()
	} else {
		v.loadNarrow()
		rounds()
		v.fold(v.advance())
	}
	v.DECQ(blocksReg)
	v.JNZ(operand.LabelRef("block"))
}

// pipelined emits a loop that hashes a block and, in turns with that, loads the
// next one into the ring: rotations and transpositions are done by different
// units of the CPU. Behind the last block a lane loads the same again. It is for
// SHA1, which leaves registers for it.
func (v *vector) pipelined(rounds func()) {
	all := v.temps
	forRounds, start := []vreg{nil, all[0], all[1]}, all[5:] // the first is for AVX2 only
	v.loadRing(all)
	for i := range v.state {
		v.move(ofGroup(groupRows+i*v.size), start[i])
	}
	v.Label("block")
	v.advanceMasks()
	for i, r := range v.state {
		v.VMOVDQA64(start[i], r)
	}
	for i, r := range v.words {
		v.move(v.slot(i), r)
	}
	v.temps = forRounds
	weave(v.Context, rounds, func() { v.loadRing(all[2:]) })
	v.temps = start
	v.foldMasked()
	v.temps = all
	v.DECQ(blocksReg)
	v.JNZ(operand.LabelRef("block"))
}

// allocate gives out the registers.
func (v *vector) allocate(state int) {
	free := slices.Clone(ymm)
	if v.wide() {
		free = slices.Clone(zmm)
		v.words, free = free[:16:16], free[16:]
	}
	v.state, v.temps = free[:state:state], free[state:]
}

// message is word i of the message, modulo 16.
func (v *vector) message(i int) operand.Op {
	if v.wide() {
		return v.words[i%16]
	}
	return ofGroup(groupWords + i%16*v.size)
}

func (v *vector) move(from, to operand.Op) {
	if v.wide() {
		v.VMOVDQU64(from, to)
	} else {
		v.VMOVDQU(from, to)
	}
}

// per is how many words there are in 16 bytes.
func (v *vector) per() int { return 16 / v.word }

// gather reads 16 bytes for every lane, at offset from where the lane's pointer
// in pointers points to, into per registers: those of lanes that are per apart
// share one, so that to transpose it takes no more than transposing every 16
// bytes of it.
func (v *vector) gather(pointers, offset int, to []vreg) {
	for first := range v.per() {
		for part := range v.size / 16 {
			v.MOVQ(ofGroup(pointers+8*(part*v.per()+first)), cursorReg)
			v.insert(part, operand.Mem{Base: cursorReg, Disp: offset}, to[first])
		}
	}
}

// insert loads 16 bytes of a register. Those behind the first part have to come
// after it.
func (v *vector) insert(part int, from operand.Mem, to vreg) {
	switch {
	case part > 0 && v.wide():
		v.VINSERTI32X4(operand.Imm(uint64(part)), from, to, to)
	case part > 0:
		v.VINSERTI128(operand.Imm(uint64(part)), from, to, to)
	case v.wide():
		v.VMOVDQU64(from, to.AsX())
	default:
		v.VMOVDQU(from, to.AsX())
	}
}

// extract stores 16 bytes of a register.
func (v *vector) extract(part int, from vreg, to operand.Mem) {
	switch {
	case part > 0 && v.wide():
		v.VEXTRACTI32X4(operand.Imm(uint64(part)), from, to)
	case part > 0:
		v.VEXTRACTI128(operand.Imm(uint64(part)), from, to)
	case v.wide():
		v.VMOVDQU64(from.AsX(), to)
	default:
		v.VMOVDQU(from.AsX(), to)
	}
}

// enter reads the state of every lane into groupRows, where it is between blocks.
func (v *vector) enter() {
	for i := 0; i < len(v.state); i += v.per() {
		w, temps := v.scratch()
		v.gather(groupState, i*v.word, w)
		v.transpose(w, temps)
		for k := range min(v.per(), len(v.state)-i) {
			v.move(w[k], ofGroup(groupRows+(i+k)*v.size))
		}
	}
}

// leave writes the state of every lane. Behind the last word it writes as many
// bytes as make 16 whole.
func (v *vector) leave() {
	for i := 0; i < len(v.state); i += v.per() {
		w, temps := v.scratch()
		for k := range w {
			v.move(ofGroup(groupRows+min(i+k, len(v.state)-1)*v.size), w[k])
		}
		v.transpose(w, temps)
		for first, r := range w {
			for part := range v.size / 16 {
				v.MOVQ(ofGroup(groupState+8*(part*v.per()+first)), cursorReg)
				v.extract(part, r, operand.Mem{Base: cursorReg, Disp: i * v.word})
			}
		}
	}
}

// scratch is registers to transpose in: as many as there are words in 16 bytes,
// and others.
func (v *vector) scratch() (w, temps []vreg) {
	free := slices.Clone(v.temps)
	return free[:v.per():v.per()], free[v.per():]
}

// load reads a block for every lane. It goes from lane to lane, since what one
// reads is in one or two cache lines.
func (v *vector) load() {
	for first := range v.per() {
		for part := range v.size / 16 {
			v.MOVQ(ofGroup(groupCursor+8*(part*v.per()+first)), cursorReg)
			for chunk := range v.word {
				v.insert(part, operand.Mem{Base: cursorReg, Disp: 16 * chunk}, v.words[chunk*v.per()+first])
			}
		}
	}
	for chunk := range v.word {
		v.transpose(v.words[chunk*v.per():][:v.per()], v.temps)
	}
}

// slot is where the ring has a word.
func (v *vector) slot(word int) operand.Mem { return ofGroup(groupRing + word*v.size) }

// loadRing reads a block for every lane into the ring.
func (v *vector) loadRing(free []vreg) {
	for chunk := range v.word {
		w := free[:v.per():v.per()]
		v.gather(groupCursor, 16*chunk, w)
		v.put(w, free[v.per():], func(word int) operand.Mem { return v.slot(chunk*v.per() + word) })
	}
}

// put transposes four registers, which stay as they are, and stores them.
func (v *vector) put(w, temps []vreg, slot func(word int) operand.Mem) {
	a, b, c, d, e := temps[0], temps[1], temps[2], temps[3], temps[4]
	v.VPSHUFB(v.flip, w[0], a)
	v.VPSHUFB(v.flip, w[1], b)
	v.VPUNPCKHDQ(b, a, c)
	v.VPUNPCKLDQ(b, a, a)
	v.VPSHUFB(v.flip, w[2], b)
	v.VPSHUFB(v.flip, w[3], d)
	v.VPUNPCKHDQ(d, b, e)
	v.VPUNPCKLDQ(d, b, b)
	v.VPUNPCKLQDQ(b, a, d)
	v.move(d, slot(0))
	v.VPUNPCKHQDQ(b, a, a)
	v.move(a, slot(1))
	v.VPUNPCKLQDQ(e, c, d)
	v.move(d, slot(2))
	v.VPUNPCKHQDQ(e, c, c)
	v.move(c, slot(3))
}

// loadNarrow is load for AVX2: it leaves the words in memory.
func (v *vector) loadNarrow() {
	for chunk := range v.word {
		w, temps := v.scratch()
		v.gather(groupCursor, 16*chunk, w)
		v.transpose(w, temps)
		for i, r := range w {
			v.VMOVDQU(r, v.message(chunk*v.per()+i))
		}
	}
}

// transpose transposes the words of each 16 bytes of w, two or four registers,
// after it has reversed their bytes. It exchanges elements of w and t.
func (v *vector) transpose(w, t []vreg) {
	for _, r := range w {
		v.VPSHUFB(v.flip, r, r)
	}
	if len(w) == 2 {
		v.VPUNPCKHQDQ(w[1], w[0], t[0])
		v.VPUNPCKLQDQ(w[1], w[0], w[0])
		w[1], t[0] = t[0], w[1]
		return
	}
	v.VPUNPCKLDQ(w[1], w[0], t[0])
	v.VPUNPCKHDQ(w[1], w[0], t[1])
	v.VPUNPCKLDQ(w[3], w[2], t[2])
	v.VPUNPCKHDQ(w[3], w[2], t[3])
	v.VPUNPCKLQDQ(t[2], t[0], w[0])
	v.VPUNPCKHQDQ(t[2], t[0], w[1])
	v.VPUNPCKLQDQ(t[3], t[1], w[2])
	v.VPUNPCKHQDQ(t[3], t[1], w[3])
}

// advanceMasks moves every lane that has blocks left to its next one: by the
// length of a block, or, behind the last of body, to where the lane switches
// to. K1 is then the lanes that the block just loaded counts for.
func (v *vector) advanceMasks() {
	total, body, ones, step := v.temps[0], v.temps[1], v.temps[2], v.temps[3]
	if v.lanes() == 8 {
		total, body, ones = total.AsY().(vreg), body.AsY().(vreg), ones.AsY().(vreg)
	}
	v.VPTERNLOGD(operand.Imm(0xff), ones, ones, ones) // minus one
	v.VMOVDQU32(ofGroup(groupTotal), total)
	v.VPTESTMD(total, total, reg.K1)
	v.VPADDD(ones, total, reg.K1, total)
	v.VMOVDQU32(total, ofGroup(groupTotal))
	v.VPTESTMD(total, total, reg.K2)
	v.VMOVDQU32(ofGroup(groupBody), body)
	v.VPADDD(ones, body, reg.K2, body)
	v.VMOVDQU32(body, ofGroup(groupBody))
	v.VPTESTNMD(body, body, reg.K2, reg.K3)
	v.MOVL(operand.U32(v.block()), cursorReg.As32())
	v.VPBROADCASTQ(cursorReg, step)
	for i := range v.lanes() / 8 {
		if i > 0 {
			v.KSHIFTRW(operand.Imm(8), reg.K2, reg.K2)
			v.KSHIFTRW(operand.Imm(8), reg.K3, reg.K3)
		}
		cursor := v.temps[4]
		v.VMOVDQU64(ofGroup(groupCursor+64*i), cursor)
		v.VPADDQ(step, cursor, reg.K2, cursor)
		v.VMOVDQU64(ofGroup(groupAfter+64*i), reg.K3, cursor)
		v.VMOVDQU64(cursor, ofGroup(groupCursor+64*i))
	}
}

// foldMasked adds what the rounds made to the state, in the lanes of K1.
func (v *vector) foldMasked() {
	add := v.pick(v.VPADDD, v.VPADDQ)
	for i, r := range v.state {
		sum := v.temps[i]
		v.move(ofGroup(groupRows+i*v.size), sum)
		add(r, sum, reg.K1, sum)
		v.move(sum, ofGroup(groupRows+i*v.size))
	}
}
