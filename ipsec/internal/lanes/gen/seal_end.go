package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Where a lanes.MACKey has the state after the inner pad and that after the outer
// one.
const (
	innerState = 0
	outerState = 64
)

const (
	sha1Block = 64
	sha1Size  = 20
)

// What the registers that held packets are for when fewer than four blocks are
// left.
var (
	blocksLeft = R8  // to be hashed
	slotReg    = R9  // the next free word of the ends
	lastReg    = R10 // the last word of the last block
	valueReg   = R11
)

// end is what comes behind the last four blocks that were taken together. There
// is one copy of the rounds for all that is left to hash: the last block that was
// filled, one or two with the message's end, and the outer one.
func (s *sealer) end() {
	s.rest()
	s.pad()
	s.MOVQ(s.next, s.here)
	s.MOVQ(U32(groupEnds), s.next)
	s.Label("hash")
	s.block()
	s.DECQ(blocksLeft)
	s.JZ(LabelRef("sums"))
	s.MOVQ(s.next, s.here)
	s.ADDQ(U32(s.half()), s.next)
	s.CMPQ(blocksLeft, Imm(1))
	s.JNE(LabelRef("hash"))
	s.outer()
	s.JMP(LabelRef("hash"))
	s.Label("sums")
	s.sums()
}

// begin puts a state that a key has into every lane.
func (s *sealer) begin(at int) {
	mac := s.here
	s.Load(s.Param("mac"), mac)
	for i := range s.state {
		w := s.words[i]
		s.VPBROADCASTD(Mem{Base: mac, Disp: at + i*s.word}, w)
		s.VPSHUFB(s.flip, w, w)
		s.move(w, ofGroup(groupRows+i*s.size))
	}
}

// ends is where a word is of the last blocks.
func (s *sealer) ends(word int) Mem { return ofGroup(groupEnds + word*s.size) }

// free is the word that many behind the next free one of the last blocks.
func (s *sealer) free(word int) Mem {
	return Mem{Base: groupReg, Index: slotReg, Scale: 1, Disp: word * s.size}
}

// fill puts one word into every lane.
func (s *sealer) fill(value uint32, to Mem) {
	s.MOVL(U32(value), valueReg.As32())
	s.fillWith(valueReg, to)
}

func (s *sealer) fillWith(value GPPhysical, to Mem) {
	s.VPBROADCASTD(value.As32(), s.temps[0])
	s.move(s.temps[0], to)
}

// rest takes up to three blocks, one after another. It collects the end
// of the message in words of its own: one block is in the ring to be hashed yet.
func (s *sealer) rest() {
	for i := range wordsInFront {
		s.move(s.slot(16+i), s.temps[0])
		s.move(s.temps[0], s.ends(i))
	}
	s.MOVQ(U32(groupEnds+wordsInFront*s.size), slotReg)
	s.packets.held = nil
	s.JMP(LabelRef("rest"))
	s.Label("one")
	s.take("one", blockSize)
	s.vector.put(s.chain, s.temps, s.free)
	s.ADDQ(Imm(blockSize), s.offset)
	s.ADDQ(U32(4*s.size), slotReg)
	s.Label("rest")
	s.CMPQ(s.offset, param(s.Context, "bytes"))
	s.JL(LabelRef("one"))
}

// pad puts the padding of FIPS 180-4, section 5.1, behind the message, and counts
// the blocks.
func (s *sealer) pad() {
	s.fill(0x80000000, s.free(0))
	s.MOVQ(U32(groupEnds+15*s.size), lastReg)
	s.MOVQ(U32(3), blocksLeft)
	s.CMPQ(slotReg, U32(groupEnds+14*s.size))
	s.JL(LabelRef("zero"))
	s.ADDQ(U32(s.half()), lastReg) // the length does not fit behind
	s.INCQ(blocksLeft)
	s.Label("zero")
	s.fill(0, s.free(1))
	s.ADDQ(U32(s.size), slotReg)
	s.CMPQ(slotReg, lastReg)
	s.JL(LabelRef("zero"))
	s.LEAQ(Mem{Base: s.offset, Disp: blockSize + sha1Block}, valueReg)
	s.SHLQ(Imm(3), valueReg) // bits
	s.fillWith(valueReg, Mem{Base: groupReg, Index: lastReg, Scale: 1})
}

// outer makes the inner hash the message of the outer one.
func (s *sealer) outer() {
	for i := range s.state {
		s.move(s.words[i], s.ends(i))
	}
	s.fill(0x80000000, s.ends(len(s.state)))
	for i := len(s.state) + 1; i < 15; i++ {
		s.fill(0, s.ends(i))
	}
	s.fill((sha1Block+sha1Size)*8, s.ends(15))
	s.begin(outerState)
	s.MOVQ(U32(groupEnds), s.here)
}

// sums leaves the first 16 bytes of every lane's hash.
func (s *sealer) sums() {
	w := s.words[:4:4]
	s.transpose(w, s.temps)
	for i, r := range w {
		for part := range perRegister {
			s.extract(part, r, ofGroup(groupICVs+(4*part+i)*blockSize))
		}
	}
}
