package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// key writes the two steps of AES key expansion that need the S-box or
// GF(2^8): no table, so that the time does not depend on the key.
func key(c *build.Context) {
	c.Function("subWord")
	c.Attributes(attr.NOSPLIT)
	c.Doc("subWord is SubWord of FIPS 197, section 5.2.")
	c.SignatureExpr("func(w uint32) uint32")
	c.Load(c.Param("w"), EAX)
	c.MOVD(EAX, X0)
	c.PSHUFD(Imm(0), X0, X0)
	c.AESKEYGENASSIST(Imm(0), X0, X0) // its first word is SubWord of the second
	c.MOVD(X0, EAX)
	c.Store(EAX, c.ReturnIndex(0))
	c.RET()

	c.Function("inverseMix")
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Doc("inverseMix applies InvMixColumns (FIPS 197, section 5.3.3) to a round key.")
	c.SignatureExpr("func(dst, src *[16]byte)")
	c.Load(c.Param("dst"), RDI)
	c.Load(c.Param("src"), RSI)
	c.MOVUPS(Mem{Base: RSI}, X0)
	c.AESIMC(X0, X0)
	c.MOVUPS(X0, Mem{Base: RDI})
	c.RET()
}
