package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A packet to be sealed has eight bytes that are not encrypted, and then the IV.
// Its blocks are encrypted four at a time, which is one block of SHA1.
const (
	headSize     = 8
	stepBlocks   = 4
	stepSize     = stepBlocks * blockSize
	wordsInFront = (headSize + blockSize) / 4 // words of the message in front of the first encrypted block
)

// sealer emits a kernel that encrypts and hashes in the same 16 lanes. A CPU has
// different units for encryption and for additions, and so both are in use all the time.
//
// Encryption has four lanes in every register: lane 4*part+i is part of register
// i, as it is where a hash transposes its message. So the hash need not fetch
// what was encrypted: it is transposed at once, into a ring of two blocks of
// words, of which the hash reads one while what is encrypted goes into the other
// and, as the message is six words ahead, into the beginning of the first, which
// was read by then.
//
// The packets are all of one length. So their ends and their padding are in the
// same words, and so is what the outer hash takes: nothing of it goes through
// memory as bytes, or is asked of any lane by itself.
type sealer struct {
	*vector
	encrypts   bool // or the packets are encrypted
	packets    lanePointers
	rounds     Mem
	offset     Register // of the block before those that are encrypted next, in the packets
	here, next Register // where the words are of the block to be hashed, and of the one behind
	chain      []vreg   // what was encrypted last
	temps      []vreg   // free registers, five
}

func sealKernels(c *build.Context) {
	flip, table := reversal(c, 4), constants32(c, "sha1Constants", sha1Constants)
	for _, encrypts := range []bool{true, false} {
		s := &sealer{vector: &vector{Context: c, size: 64, word: 4, flip: flip, table: table}, encrypts: encrypts}
		s.allocate(5)
		if encrypts {
			c.Function("sealSHA1x16")
			c.SignatureExpr("func(lanes *byte, packets *[16]*byte, bytes, whole int, mac, keys *byte, rounds int)")
			c.Doc("sealSHA1x16 encrypts that many bytes, whole blocks, of each of 16 packets behind the 8",
				"bytes and the IV that it begins with, with one key, whose schedule keys is. Whole is",
				"bytes without what is behind the last 64, and is not zero. Of the HMAC over each packet",
				"from the first byte on, the first 16 bytes go into lanes. mac is its key, as states.")
		} else {
			c.Function("signSHA1x16")
			c.SignatureExpr("func(lanes *byte, packets *[16]*byte, bytes, whole int, mac *byte)")
			c.Doc("signSHA1x16 is sealSHA1x16 of packets that are encrypted.")
		}
		s.write()
	}
}

func (s *sealer) write() {
	s.Attributes(attr.NOSPLIT)
	s.Pragma("noescape")
	s.Load(s.Param("lanes"), groupReg)
	s.Load(s.Param("packets"), RSI)
	s.offset, s.here, s.next = RCX, RAX, R15
	if s.encrypts {
		s.rounds = param(s.Context, "rounds")
		s.spread()
	}
	s.packets = lanePointers{s.Context, RSI, RBX, []GPPhysical{RDX, R8, R9, R10, R11, R12, R13, R14}}
	s.packets.load(s.lanes())
	free := s.vector.temps
	s.vector.temps = []vreg{nil, free[0], free[1]} // the first is for AVX2 only
	s.chain, s.temps = free[2:6], free[6:]

	s.begin(innerState)
	s.MOVQ(U32(headSize), s.offset)
	s.MOVQ(U32(groupRing+s.half()), s.here)
	s.MOVQ(U32(groupRing), s.next)
	s.head()
	s.step("first")
	s.Label("step")
	s.ADDQ(U32(stepSize), s.offset)
	s.CMPQ(s.offset, param(s.Context, "whole"))
	s.JGE(LabelRef("end"))
	s.XCHGQ(s.here, s.next)
	weave(s.Context, s.block, func() { s.step("rounds") })
	s.JMP(LabelRef("step"))
	s.Label("end")
	s.end()
	if s.encrypts {
		s.wipe()
	}
	s.VZEROUPPER()
	s.RET()
}

// key is where a round key is, four times over. To load it so costs nothing, but
// to repeat it each time would take the time of an operation.
func (s *sealer) key(round int) Mem { return ofGroup(groupKeys + round*s.size) }

// spread writes the round keys there.
func (s *sealer) spread() {
	keys, z := s.here, s.vector.temps[0]
	s.Load(s.Param("keys"), keys)
	for round := range lastRound + 1 {
		s.VBROADCASTI32X4(Mem{Base: keys, Disp: round * blockSize}, z)
		s.move(z, s.key(round))
	}
}

// wipe overwrites them.
func (s *sealer) wipe() {
	z := s.temps[0]
	s.VPXORD(z, z, z)
	for round := range lastRound + 1 {
		s.move(z, s.key(round))
	}
}

// half is how many bytes of the ring are a block of words.
func (s *sealer) half() int { return 16 * s.size }

// slot is where a word of the next block of the message is, or of the one behind.
func (s *sealer) slot(word int) Mem {
	base := s.next
	if word >= 16 {
		base = s.here
	}
	return Mem{Base: groupReg, Index: base, Scale: 1, Disp: word % 16 * s.size}
}

// lane is an address in the packet of the lane that is part of register i.
func (s *sealer) lane(i, part, disp int) Mem {
	return s.packets.at(part*s.per()+i, s.offset).Offset(disp)
}

// fetch reads a block of every lane into a register.
func (s *sealer) fetch(i, disp int, to vreg) {
	for part := range perRegister {
		s.insert(part, s.lane(i, part, disp), to)
	}
}

// head puts what is in front of the first encrypted block into the ring, and the
// IV into chain.
func (s *sealer) head() {
	for _, from := range []int{0, wordsInFront - 4} {
		for i, z := range s.chain {
			s.fetch(i, 4*from-headSize, z)
		}
		s.put(from)
	}
	for i, z := range s.chain {
		s.fetch(i, 0, z)
	}
}

// step takes four blocks of every lane.
func (s *sealer) step(label string) {
	for block := range stepBlocks {
		s.take(fmt.Sprint(label, block), (block+1)*blockSize)
		s.put(wordsInFront + 4*block)
	}
}

// take encrypts one block of every lane, disp behind offset, or only reads it.
func (s *sealer) take(label string, disp int) {
	if !s.encrypts {
		for i, z := range s.chain {
			s.fetch(i, disp, z)
		}
		return
	}
	key, input := s.temps[0], s.temps[1]
	s.move(s.key(0), key)
	for i, z := range s.chain {
		s.fetch(i, disp, input)
		s.VPTERNLOGD(Imm(0x96), input, key, z)
	}
	eachRound(s.Context, label, s.rounds, func(round int) {
		s.move(s.key(round), key)
		for _, z := range s.chain {
			s.VAESENC(key, z, z)
		}
	})
	s.move(s.key(lastRound), key)
	for _, z := range s.chain {
		s.VAESENCLAST(key, z, z)
	}
	for i, z := range s.chain {
		for part := range perRegister {
			s.extract(part, z, s.lane(i, part, disp))
		}
	}
}

// put puts chain into the ring, as four words from there on.
func (s *sealer) put(word int) {
	s.vector.put(s.chain, s.temps, func(i int) Mem { return s.slot(word + i) })
}

// block hashes a block of words. Between blocks the state is in registers of
// words too.
func (s *sealer) block() {
	for i, r := range s.state {
		s.VMOVDQA64(s.words[i], r)
	}
	for i, r := range s.words {
		s.move(Mem{Base: groupReg, Index: s.here, Scale: 1, Disp: i * s.size}, r)
	}
	s.sha1()
	for i, r := range s.state {
		sum := ofGroup(groupRows + i*s.size)
		s.VPADDD(sum, r, s.words[i])
		s.move(s.words[i], sum)
	}
}
