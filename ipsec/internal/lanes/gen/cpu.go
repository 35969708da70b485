package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// cpu writes cpuid, the one instruction that says what x/sys/cpu does not.
func cpu(c *build.Context) {
	c.Function("cpuid")
	c.Attributes(attr.NOSPLIT)
	c.Doc("cpuid executes the instruction of that name.")
	c.SignatureExpr("func(leaf, sub uint32) (a, b, c, d uint32)")
	c.Load(c.Param("leaf"), EAX)
	c.Load(c.Param("sub"), ECX)
	c.CPUID()
	c.Store(EAX, c.Return("a"))
	c.Store(EBX, c.Return("b"))
	c.Store(ECX, c.Return("c"))
	c.Store(EDX, c.Return("d"))
	c.RET()
}
