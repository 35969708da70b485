package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A schedule has the first round key at 0 and the last one at 14. The rounds
// between are the last ones before 14, as many as the key size has.
const (
	lastRound = 14
	blockSize = 16
)

// eachRound emits the rounds between the first round key and the last, and the
// jumps over those that a key size does not have. rounds is the number of
// rounds, 10, 12 or 14, which is not a secret.
func eachRound(c *build.Context, label string, rounds Op, emit func(round int)) {
	c.CMPQ(rounds, Imm(12))
	c.JL(LabelRef(label + "10"))
	c.JE(LabelRef(label + "12"))
	emit(1)
	emit(2)
	c.Label(label + "12")
	emit(3)
	emit(4)
	c.Label(label + "10")
	for round := 5; round < lastRound; round++ {
		emit(round)
	}
}

// encryptHead begins a kernel that encrypts one block after another of packets
// in lanes, with RSI the array of pointers and RDI the keys. It returns its other
// parameters.
func encryptHead(c *build.Context, tier string, lanes int, shared bool) (bytes, rounds Mem) {
	name, what := fmt.Sprintf("%sx%d", tier, lanes), "keys is their round keys, round by round, 16 lanes wide."
	if shared {
		name, what = name+"Shared", "keys is the schedule of all of them."
	}
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Doc(fmt.Sprintf("%s encrypts bytes, whole blocks and at least one, of each of %d", name, lanes),
		"packets. A pointer is to the block before, encrypted or an IV. "+what)
	c.SignatureExpr(fmt.Sprintf("func(packets *[%d]*byte, bytes int, keys *byte, rounds int)", lanes))
	c.Load(c.Param("packets"), RSI)
	c.Load(c.Param("keys"), RDI)
	return param(c, "bytes"), param(c, "rounds")
}

// decryptHead begins a kernel that decrypts one packet, RCX bytes behind the IV
// at RSI, with the schedule at RDI of RDX rounds.
func decryptHead(c *build.Context, name string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Doc(name+" decrypts that many bytes, whole blocks and at least one, behind the IV",
		"that packet points to. keys is the inverse schedule.")
	c.SignatureExpr("func(packet *byte, bytes int, keys *byte, rounds int)")
	c.Load(c.Param("packet"), RSI)
	c.Load(c.Param("bytes"), RCX)
	c.Load(c.Param("keys"), RDI)
	c.Load(c.Param("rounds"), RDX)
}

// param is where a parameter is on the stack.
func param(c *build.Context, name string) Mem {
	p, err := c.Param(name).Resolve()
	if err != nil {
		panic(err) // the signature does not have it
	}
	return p.Addr
}

// general are the registers that pointers to packets may be held in.
var general = []GPPhysical{RBX, R8, R9, R10, R11, R12, R13, R14, R15}

// lanePointers finds the packets of lanes: the first ones are held in
// registers, the others fetched whenever they are needed.
type lanePointers struct {
	c     *build.Context
	array Register
	spare Register
	held  []GPPhysical
}

func (p lanePointers) load(lanes int) {
	for i := range min(lanes, len(p.held)) {
		p.c.MOVQ(Mem{Base: p.array, Disp: 8 * i}, p.held[i])
	}
}

// at is the address of the lane's packet plus an offset.
func (p lanePointers) at(lane int, offset Register) Mem {
	if lane < len(p.held) {
		return Mem{Base: p.held[lane], Index: offset, Scale: 1}
	}
	p.c.MOVQ(Mem{Base: p.array, Disp: 8 * lane}, p.spare)
	return Mem{Base: p.spare, Index: offset, Scale: 1}
}
