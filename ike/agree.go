package ike

import (
	"fmt"
	"slices"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// agreement is what both we and the peer want.
type agreement struct {
	natt      NATTVersion // one of them
	dpd       bool
	fragments bool
	answer    []isakmp.Payload // the vendor IDs that say so, which a responder sends
}

// agree picks the capabilities that both we and the peer want.
func agree(policy []VendorID, vendor [][]byte) (a agreement) {
	for _, v := range policy {
		wire := v.offeredAs(vendor)
		if wire == "" || slices.ContainsFunc(a.answer, func(p isakmp.Payload) bool {
			said, ok := p.(isakmp.VendorID)
			return ok && string(said) == wire
		}) {
			continue // nothing is answered twice
		}
		switch {
		case v == VendorFragmentation:
			a.fragments = true
		case v == VendorDPD:
			a.dpd = true
		case v.natt() != NATTNone && a.natt == NATTNone:
			a.natt = v.natt()
		case v.natt() != NATTNone:
			continue // only one NAT-T vendor ID is answered
		}
		a.answer = append(a.answer, isakmp.VendorID(wire))
	}
	return a
}

// drop takes a vendor ID out of the answer.
func (a *agreement) drop(which func(string) bool) {
	a.answer = slices.DeleteFunc(slices.Clone(a.answer), func(p isakmp.Payload) bool {
		v, ok := p.(isakmp.VendorID)
		return ok && which(string(v))
	})
}

// vendorIDs are the vendor IDs that an initiator offers.
func (p *Policy) vendorIDs() (list []isakmp.Payload) {
	for _, v := range p.VendorIDs {
		if v.wire() != "" {
			list = append(list, isakmp.VendorID(v.wire()))
		}
	}
	return list
}

// natt is the NAT-T version that a vendor ID stands for.
func (v VendorID) natt() NATTVersion {
	switch v {
	case VendorRFC3947:
		return NATTRFC3947
	case VendorNATTDraft03:
		return NATTDraft03
	case VendorNATTDraft02N:
		return NATTDraft02N
	case VendorNATTDraft02:
		return NATTDraft02
	default:
		return NATTNone
	}
}

// NATTVersion is the form of NAT traversal that both ends understand.
type NATTVersion uint8

// NAT-T versions. The drafts use private payload and attribute numbers.
const (
	NATTNone NATTVersion = iota
	NATTRFC3947
	NATTDraft03
	NATTDraft02N
	NATTDraft02
)

// String names the version.
func (v NATTVersion) String() string {
	switch v {
	case NATTNone:
		return "none"
	case NATTRFC3947:
		return "RFC 3947"
	case NATTDraft03:
		return "draft-03"
	case NATTDraft02N:
		return `draft-02\n`
	case NATTDraft02:
		return "draft-02"
	default:
		return fmt.Sprintf("NATTVersion(%d)", uint8(v))
	}
}

// draft reports whether the version uses the drafts' payload numbers.
func (v NATTVersion) draft() bool { return v > NATTRFC3947 }
