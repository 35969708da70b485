package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A register of 512 bits has a block of each of four lanes, or four blocks of
// one packet.
const perRegister = 4

var (
	states  = []VecPhysical{Z0, Z1, Z2, Z3}
	inputs  = []VecPhysical{Z4, Z5, Z6, Z7}
	outputs = []VecPhysical{Z8, Z9, Z10, Z11}
	held    = []VecPhysical{Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30}
)

func cbcAVX512(c *build.Context) {
	for _, registers := range []int{1, 4} {
		encryptAVX512(c, registers, false)
		encryptAVX512(c, registers, true)
	}
	decryptAVX512(c)
}

// gather returns the instructions that fill a register with the blocks of four
// lanes.
func gather(p lanePointers, first int, offset Register, z VecPhysical) []func() {
	list := []func(){func() { p.c.VMOVDQU(p.at(first, offset), z.AsX()) }}
	for i := 1; i < perRegister; i++ {
		list = append(list, func() { p.c.VINSERTI32X4(Imm(uint64(i)), p.at(first+i, offset), z, z) })
	}
	return list
}

// scatter returns the instructions that write them back, a block in front of
// offset.
func scatter(p lanePointers, z VecPhysical, first int, offset Register) []func() {
	list := []func(){func() { p.c.VMOVDQU(z.AsX(), p.at(first, offset).Offset(-blockSize)) }}
	for i := 1; i < perRegister; i++ {
		list = append(list, func() { p.c.VEXTRACTI32X4(Imm(uint64(i)), z, p.at(first+i, offset).Offset(-blockSize)) })
	}
	return list
}

func emit(list []func()) {
	for _, f := range list {
		f()
	}
}

// encryptAVX512 writes the encryption of four lanes a register: with a key a
// lane, in a table, or with one key for all, held in registers.
//
// Between the rounds of one block it stores the block before and fetches the one
// behind, so that shuffling need not wait until the rounds have ended, nor they
// for it. At first, the block before is the IV, which is stored unchanged.
func encryptAVX512(c *build.Context, registers int, shared bool) {
	lanes := registers * perRegister
	bytes, rounds := encryptHead(c, "encryptAVX512", lanes, shared)
	packets := lanePointers{c, RSI, RAX, general}
	packets.load(lanes)
	key := func(round, i int) Op { return Mem{Base: RDI, Disp: (round*16 + i*perRegister) * blockSize} }
	if shared {
		for round, z := range held {
			c.VBROADCASTI32X4(Mem{Base: RDI, Disp: round * blockSize}, z)
		}
		key = func(round, _ int) Op { return held[round] }
	}
	offset, ahead := RCX, RDX
	var store, fetch []func()
	for i := range registers {
		store = append(store, scatter(packets, outputs[i], i*perRegister, offset)...)
		fetch = append(fetch, gather(packets, i*perRegister, ahead, inputs[i])...)
		fetch = append(fetch, func() { c.VPXORQ(key(0, i), inputs[i], inputs[i]) })
	}
	c.XORQ(offset, offset)
	for i := range registers {
		emit(gather(packets, i*perRegister, offset, outputs[i]))
	}
	c.MOVQ(U32(blockSize), offset)
	c.MOVQ(offset, ahead)
	emit(fetch)

	c.Label("block")
	c.ADDQ(Imm(blockSize), ahead)
	c.CMPQ(ahead, bytes)
	c.CMOVQGT(bytes, ahead) // behind the last block there is none: fetch that one again
	for i := range registers {
		c.VPXORQ(outputs[i], inputs[i], states[i])
	}
	// Every key size has the rounds from 5 on.
	const common = lastRound - 5
	between := append(store, fetch...)
	each := (len(between) + common - 1) / common
	eachRound(c, "rounds", rounds, func(round int) {
		for i := range registers {
			c.VAESENC(key(round, i), states[i], states[i])
		}
		if round >= 5 {
			n := min(each, len(between))
			emit(between[:n])
			between = between[n:]
		}
	})
	for i := range registers {
		c.VAESENCLAST(key(lastRound, i), states[i], outputs[i])
	}
	c.ADDQ(Imm(blockSize), offset)
	c.CMPQ(offset, bytes)
	c.JLE(LabelRef("block"))
	emit(store)
	c.VZEROUPPER()
	c.RET()
}

// decryptAVX512 writes the decryption of one packet, 16 blocks at a time, then
// 4, then 1. It begins at the end: there each block's predecessor is still
// encrypted.
func decryptAVX512(c *build.Context) {
	decryptHead(c, "decryptAVX512")
	packet, left, rounds := RSI, RCX, RDX
	for round, z := range held {
		c.VBROADCASTI32X4(Mem{Base: RDI, Disp: round * blockSize}, z)
	}
	whole := func(z VecPhysical) VecPhysical { return z }
	first := func(z VecPhysical) VecPhysical { return z.AsX().(VecPhysical) }
	for _, v := range []struct {
		registers, bytes int // bytes of a register that are used
		part             func(VecPhysical) VecPhysical
	}{{4, 64, whole}, {1, 64, whole}, {1, 16, first}} {
		size := v.registers * v.bytes
		label := fmt.Sprintf("blocks%d", size/blockSize)
		before := Mem{Base: packet, Index: left, Scale: 1}
		c.Label(label)
		c.CMPQ(left, U32(size))
		c.JL(LabelRef(label + "end"))
		c.SUBQ(U32(size), left)
		for i := range v.registers {
			c.VMOVDQU64(before.Offset(blockSize+i*v.bytes), v.part(states[i]))
			c.VMOVDQU64(before.Offset(i*v.bytes), v.part(inputs[i]))
		}
		for i := range v.registers {
			c.VPXORQ(v.part(held[0]), v.part(states[i]), v.part(states[i]))
		}
		eachRound(c, label+"rounds", rounds, func(round int) {
			for i := range v.registers {
				c.VAESDEC(v.part(held[round]), v.part(states[i]), v.part(states[i]))
			}
		})
		for i := range v.registers {
			c.VAESDECLAST(v.part(held[lastRound]), v.part(states[i]), v.part(states[i]))
			c.VPXORQ(v.part(inputs[i]), v.part(states[i]), v.part(states[i]))
		}
		for i := range v.registers {
			c.VMOVDQU64(v.part(states[i]), before.Offset(blockSize+i*v.bytes))
		}
		c.JMP(LabelRef(label))
		c.Label(label + "end")
	}
	c.VZEROUPPER()
	c.RET()
}
