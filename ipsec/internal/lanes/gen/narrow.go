package main

import "github.com/mmcloughlin/avo/operand"

// advance is advanceMasks for AVX2. It returns a register of all ones in the
// lanes that the last block counts for.
func (v *vector) advance() vreg {
	active, total, body, zero := v.temps[0], v.temps[1], v.temps[2], v.temps[3]
	narrow := func(r vreg) vreg { return r } // as wide as a count for every lane
	if v.lanes() == 4 {
		narrow = func(r vreg) vreg { return r.AsX().(vreg) }
	}
	v.VPXOR(zero, zero, zero)
	v.VMOVDQU(ofGroup(groupTotal), narrow(total))
	v.VPCMPGTD(narrow(zero), narrow(total), narrow(active))
	v.VPADDD(narrow(active), narrow(total), narrow(total))
	v.VMOVDQU(narrow(total), ofGroup(groupTotal))
	v.VPCMPGTD(narrow(zero), narrow(total), narrow(total)) // the lanes that go on
	v.VMOVDQU(ofGroup(groupBody), narrow(body))
	v.VPADDD(narrow(total), narrow(body), narrow(body))
	v.VMOVDQU(narrow(body), ofGroup(groupBody))
	v.VPCMPEQD(narrow(zero), narrow(body), narrow(body))
	v.VPAND(narrow(total), narrow(body), narrow(body)) // the lanes that switch
	cursor, mask, step := v.temps[4], v.temps[5], v.temps[6]
	v.MOVL(operand.U32(v.block()), cursorReg.As32())
	v.VMOVQ(cursorReg, step.AsX())
	v.VPBROADCASTQ(step.AsX(), step)
	for i := range v.lanes() / 4 {
		if i > 0 {
			v.VEXTRACTI128(operand.Imm(1), total, total.AsX())
			v.VEXTRACTI128(operand.Imm(1), body, body.AsX())
		}
		v.VPMOVSXDQ(total.AsX(), mask)
		v.VPAND(step, mask, mask)
		v.VPADDQ(ofGroup(groupCursor+32*i), mask, cursor)
		v.VPMOVSXDQ(body.AsX(), mask)
		v.VPBLENDVB(mask, ofGroup(groupAfter+32*i), cursor, cursor)
		v.VMOVDQU(cursor, ofGroup(groupCursor+32*i))
	}
	if v.lanes() == 4 {
		v.VPMOVSXDQ(active.AsX(), active)
	}
	return active
}

// fold is foldMasked for AVX2.
func (v *vector) fold(active vreg) {
	add := v.pick(v.VPADDD, v.VPADDQ)
	for i, r := range v.state {
		v.VPAND(active, r, r)
		add(ofGroup(groupRows+i*v.size), r, r)
		v.VMOVDQU(r, ofGroup(groupRows+i*v.size))
	}
}
