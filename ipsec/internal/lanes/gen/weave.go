package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
)

// weave emits two streams of instructions in turns: in every stretch each has the same
// share as in the whole, so that the CPU sees both at once. Neither may write a register
// that the other uses. Flags need not be kept: a stream that compares goes on until it
// has jumped and nothing is jumped over.
func weave(c *build.Context, one, other func()) {
	f := function(c)
	before := f.Nodes
	record := func(stream func()) (units [][]ir.Node, total int) {
		f.Nodes = nil
		stream()
		return divide(f.Nodes), len(f.Nodes)
	}
	a, totalA := record(one)
	b, totalB := record(other)
	f.Nodes = before
	for doneA, doneB := 0, 0; len(a)+len(b) > 0; {
		if doneA*totalB <= doneB*totalA && len(a) > 0 || len(b) == 0 {
			f.Nodes = append(f.Nodes, a[0]...)
			doneA += len(a[0])
			a = a[1:]
		} else {
			f.Nodes = append(f.Nodes, b[0]...)
			doneB += len(b[0])
			b = b[1:]
		}
	}
}

// function is the one that is being written.
func function(c *build.Context) *ir.Function {
	file, err := c.Result()
	if err != nil {
		panic(err) // what was emitted so far has no such form
	}
	all := file.Functions()
	return all[len(all)-1]
}

// divide divides a stream into parts that nothing may come between.
func divide(nodes []ir.Node) (units [][]ir.Node) {
	from, flags, targets := 0, false, map[string]bool{}
	for i, n := range nodes {
		switch n := n.(type) {
		case *ir.Instruction:
			if flags = n.Opcode == "CMPQ" || flags && n.IsBranch; n.IsBranch {
				targets[n.Operands[0].Asm()] = true
			}
		case ir.Label:
			delete(targets, string(n))
			flags = false
		}
		if !flags && len(targets) == 0 {
			units = append(units, nodes[from:i+1])
			from = i + 1
		}
	}
	return append(units, nodes[from:])
}
