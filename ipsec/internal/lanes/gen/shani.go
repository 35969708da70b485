package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// stream is one lane of a kernel that uses the SHA extensions.
type stream struct {
	lane                 int
	cursor, body, stride reg.GPPhysical
	state                [3]vreg // SHA1: ABCD, and E twice, in turn; SHA256: ABEF and CDGH
	words                [4]vreg
}

// extension emits a hash with the SHA extensions, for several messages in
// turn: each instruction takes several cycles, and those of other messages
// start meanwhile.
type extension struct {
	*build.Context
	streams []*stream
	flip    operand.Mem
	table   operand.Mem
}

var (
	flipReg = xmm[14]
	tempReg = xmm[15]
)

// hash emits the function name. enter and leave read and write the lanes' states,
// of which each has that many registers; block mixes a block into them.
func (x *extension) hash(name, doc string, states int, free []vreg, enter, block, leave func()) {
	x.streams = []*stream{
		{lane: 0, cursor: reg.RBX, body: reg.R10, stride: reg.R12},
		{lane: 1, cursor: reg.RCX, body: reg.R11, stride: reg.R13},
	}
	for _, s := range x.streams {
		free = free[copy(s.words[:], free):]
		free = free[copy(s.state[:states], free):]
	}
	x.Function(name)
	x.Attributes(attr.NOSPLIT)
	x.SignatureExpr("func(lanes *byte, blocks int)")
	x.Pragma("noescape")
	x.Doc(doc)
	x.Load(x.Param("lanes"), groupReg)
	x.Load(x.Param("blocks"), blocksReg)
	x.MOVOU(x.flip, flipReg)
	for _, s := range x.streams {
		x.start(s)
	}
	enter()
	x.Label("block")
	for _, s := range x.streams {
		for i, w := range s.words {
			x.MOVOU(operand.Mem{Base: s.cursor, Disp: 16 * i}, w)
			x.PSHUFB(flipReg, w)
		}
		x.advance(s)
	}
	block()
	x.DECQ(blocksReg)
	x.JNZ(operand.LabelRef("block"))
	leave()
	for _, s := range x.streams {
		x.MOVQ(s.cursor, ofGroup(groupCursor+8*s.lane))
		x.MOVL(s.body.As32(), ofGroup(groupBody+4*s.lane))
	}
	x.RET()
}

// start loads where a lane is. One that has nothing left stays there. The
// others have at least as many blocks left as the call is to do.
func (x *extension) start(s *stream) {
	x.MOVQ(ofGroup(groupCursor+8*s.lane), s.cursor)
	x.MOVL(ofGroup(groupBody+4*s.lane), s.body.As32())
	x.MOVL(ofGroup(groupTotal+4*s.lane), reg.EAX)
	x.NEGL(reg.EAX) // carries unless it is zero
	x.SBBQ(s.stride, s.stride)
	x.MOVL(blocksReg.As32(), reg.EAX)
	x.ANDL(s.stride.As32(), reg.EAX)
	x.SUBL(reg.EAX, ofGroup(groupTotal+4*s.lane))
	x.ANDQ(operand.Imm(64), s.stride)
}

func (x *extension) advance(s *stream) {
	x.ADDQ(s.stride, s.cursor)
	x.DECL(s.body.As32())
	x.CMOVQEQ(ofGroup(groupAfter+8*s.lane), s.cursor)
}

func ofSaved(s *stream, offset int) operand.Mem { return ofGroup(groupRows + 32*s.lane + offset) }

// ofState is where the lane's state is. It takes RAX.
func (x *extension) ofState(s *stream) operand.Mem {
	x.MOVQ(ofGroup(groupState+8*s.lane), reg.RAX)
	return operand.Mem{Base: reg.RAX}
}

// extensionKernels emits SHA1 and SHA256.
func extensionKernels(c *build.Context) {
	all := c.StaticGlobal("reverse16")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		c.AddDatum(i, operand.U8(15-i))
	}
	one := &extension{Context: c, flip: all}
	one.hash("sha1x2", "sha1x2 runs SHA1 in two lanes, with the SHA extensions.", 3, xmm, one.sha1Enter, one.sha1, one.sha1Leave)
	two := &extension{Context: c, flip: reversal(c, 4), table: constants32(c, "sha256Constants", sha256.constants32())}
	two.hash("sha256x2", "sha256x2 runs SHA256 in two lanes, with the SHA extensions.", 2, xmm[1:], two.sha256Enter, two.sha256, two.sha256Leave)
}

func (x *extension) sha1Enter() {
	for _, s := range x.streams {
		from := x.ofState(s)
		x.MOVOU(from, s.state[0])
		x.PSHUFB(flipReg, s.state[0])
		x.MOVL(from.Offset(16), reg.EAX)
		x.BSWAPL(reg.EAX)
		x.MOVQ(reg.RAX, s.state[1])
		x.PSLLDQ(operand.Imm(12), s.state[1])
	}
}

func (x *extension) sha1Leave() {
	for _, s := range x.streams {
		to := x.ofState(s)
		x.PSHUFB(flipReg, s.state[0])
		x.MOVOU(s.state[0], to)
		x.PSRLDQ(operand.Imm(12), s.state[1])
		x.MOVQ(s.state[1], reg.RDX)
		x.BSWAPL(reg.EDX)
		x.MOVL(reg.EDX, to.Offset(16))
	}
}

// sha1 does four rounds at a time.
func (x *extension) sha1() {
	for _, s := range x.streams {
		x.MOVOU(s.state[0], ofSaved(s, 0))
		x.MOVOU(s.state[1], ofSaved(s, 16))
	}
	for g := range 20 {
		for _, s := range x.streams {
			x.sha1Rounds(s, g)
		}
	}
	for _, s := range x.streams {
		x.MOVOU(ofSaved(s, 16), tempReg)
		x.SHA1NEXTE(tempReg, s.state[1])
		x.MOVOU(ofSaved(s, 0), tempReg)
		x.PADDD(tempReg, s.state[0])
	}
}

func (x *extension) sha1Rounds(s *stream, g int) {
	abcd, e, next := s.state[0], s.state[1+g%2], s.state[2-g%2]
	w := func(i int) vreg { return s.words[(i+4)%4] }
	if g == 0 {
		x.PADDD(w(g), e)
	} else {
		x.SHA1NEXTE(w(g), e)
	}
	x.MOVO(abcd, next)
	if g >= 3 && g+1 < 20 {
		x.SHA1MSG2(w(g), w(g+1))
	}
	x.SHA1RNDS4(operand.Imm(uint64(g/5)), e, abcd)
	if g >= 1 && g+3 < 20 {
		x.SHA1MSG1(w(g), w(g-1))
	}
	if g >= 2 && g+2 < 20 {
		x.PXOR(w(g), w(g-2))
	}
}

func (x *extension) sha256Enter() {
	for _, s := range x.streams {
		abef, cdgh, from := s.state[0], s.state[1], x.ofState(s)
		x.MOVOU(from, abef)
		x.MOVOU(from.Offset(16), cdgh)
		x.PSHUFB(flipReg, abef)
		x.PSHUFB(flipReg, cdgh)
		x.PSHUFD(operand.Imm(0xb1), abef, abef) // CDAB
		x.PSHUFD(operand.Imm(0x1b), cdgh, cdgh) // EFGH
		x.MOVO(abef, tempReg)
		x.PALIGNR(operand.Imm(8), cdgh, abef)
		x.PBLENDW(operand.Imm(0xf0), tempReg, cdgh)
	}
	x.LEAQ(x.table, tableReg)
}

func (x *extension) sha256Leave() {
	for _, s := range x.streams {
		abef, cdgh, to := s.state[0], s.state[1], x.ofState(s)
		x.PSHUFD(operand.Imm(0x1b), abef, abef) // FEBA
		x.PSHUFD(operand.Imm(0xb1), cdgh, cdgh) // DCHG
		x.MOVO(abef, tempReg)
		x.PBLENDW(operand.Imm(0xf0), cdgh, abef) // DCBA
		x.PALIGNR(operand.Imm(8), tempReg, cdgh) // HGFE
		x.PSHUFB(flipReg, abef)
		x.PSHUFB(flipReg, cdgh)
		x.MOVOU(abef, to)
		x.MOVOU(cdgh, to.Offset(16))
	}
}

// sha256 does four rounds at a time.
func (x *extension) sha256() {
	for _, s := range x.streams {
		x.MOVOU(s.state[0], ofSaved(s, 0))
		x.MOVOU(s.state[1], ofSaved(s, 16))
	}
	for g := range 16 {
		for _, s := range x.streams {
			x.sha256Rounds(s, g)
		}
	}
	for _, s := range x.streams {
		for i, r := range s.state[:2] {
			x.MOVOU(ofSaved(s, 16*i), tempReg)
			x.PADDD(tempReg, r)
		}
	}
}

func (x *extension) sha256Rounds(s *stream, g int) {
	abef, cdgh := s.state[0], s.state[1]
	w := func(i int) vreg { return s.words[(i+4)%4] }
	x.MOVOU(operand.Mem{Base: tableReg, Disp: 16 * g}, reg.X0)
	x.PADDD(w(g), reg.X0)
	x.SHA256RNDS2(reg.X0, abef, cdgh)
	if g >= 3 && g+1 < 16 {
		x.MOVO(w(g), tempReg)
		x.PALIGNR(operand.Imm(4), w(g-1), tempReg)
		x.PADDD(tempReg, w(g+1))
		x.SHA256MSG2(w(g), w(g+1))
	}
	x.PSHUFD(operand.Imm(0x0e), reg.X0, reg.X0)
	x.SHA256RNDS2(reg.X0, cdgh, abef)
	if g >= 1 && g+3 < 16 {
		x.SHA256MSG1(w(g), w(g-1))
	}
}
