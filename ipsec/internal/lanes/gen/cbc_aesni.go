package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The instructions are those of SSE: there are CPUs with AES-NI and without AVX.
// Their operands in memory must be aligned; tables of lanes' keys are, packets and
// schedules are not.
var (
	blocks   = []VecPhysical{X0, X1, X2, X3, X4, X5, X6, X7}
	input    = X8
	roundKey = X9
)

func cbcAESNI(c *build.Context) {
	for _, lanes := range []int{4, 8} {
		encryptAESNI(c, lanes, false)
		encryptAESNI(c, lanes, true)
	}
	decryptAESNI(c)
}

// encryptAESNI writes the encryption of one lane a register.
func encryptAESNI(c *build.Context, lanes int, shared bool) {
	bytes, rounds := encryptHead(c, "encryptAESNI", lanes, shared)
	packets := lanePointers{c, RSI, RAX, general}
	packets.load(lanes)
	each := func(do func(key Op, block VecPhysical), round int) {
		if shared {
			c.MOVUPS(Mem{Base: RDI, Disp: round * blockSize}, roundKey)
		}
		for i, block := range blocks[:lanes] {
			if shared {
				do(roundKey, block)
				continue
			}
			do(Mem{Base: RDI, Disp: (round*16 + i) * blockSize}, block)
		}
	}
	offset := RCX
	c.XORQ(offset, offset)
	for i, block := range blocks[:lanes] {
		c.MOVUPS(packets.at(i, offset), block)
	}

	c.Label("block")
	c.ADDQ(Imm(blockSize), offset)
	for i, block := range blocks[:lanes] {
		c.MOVUPS(packets.at(i, offset), input)
		c.PXOR(input, block)
	}
	each(func(key Op, block VecPhysical) { c.PXOR(key, block) }, 0)
	eachRound(c, "rounds", rounds, func(round int) {
		each(func(key Op, block VecPhysical) { c.AESENC(key, block) }, round)
	})
	each(func(key Op, block VecPhysical) { c.AESENCLAST(key, block) }, lastRound)
	for i, block := range blocks[:lanes] {
		c.MOVUPS(block, packets.at(i, offset))
	}
	c.CMPQ(offset, bytes)
	c.JL(LabelRef("block"))
	c.RET()
}

// decryptAESNI writes the decryption of one packet, eight blocks at a time. It
// begins at the end: there each block's predecessor is still encrypted.
func decryptAESNI(c *build.Context) {
	decryptHead(c, "decryptAESNI")
	packet, left, rounds := RSI, RCX, RDX
	for _, n := range []int{8, 4, 1} {
		label := fmt.Sprintf("blocks%d", n)
		c.Label(label)
		c.CMPQ(left, U32(n*blockSize))
		c.JL(LabelRef(label + "end"))
		c.SUBQ(U32(n*blockSize), left)
		before := Mem{Base: packet, Index: left, Scale: 1}
		for i, block := range blocks[:n] {
			c.MOVUPS(before.Offset((i+1)*blockSize), block)
		}
		each := func(do func(key, block Op), round int) {
			c.MOVUPS(Mem{Base: RDI, Disp: round * blockSize}, roundKey)
			for _, block := range blocks[:n] {
				do(roundKey, block)
			}
		}
		each(c.PXOR, 0)
		eachRound(c, label+"rounds", rounds, func(round int) { each(c.AESDEC, round) })
		each(c.AESDECLAST, lastRound)
		for i := n - 1; i >= 0; i-- {
			c.MOVUPS(before.Offset(i*blockSize), input)
			c.PXOR(input, blocks[i])
			c.MOVUPS(blocks[i], before.Offset((i+1)*blockSize))
		}
		c.JMP(LabelRef(label))
		c.Label(label + "end")
	}
	c.RET()
}
