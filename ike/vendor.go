package ike

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// VendorID is a vendor ID that we can send.
type VendorID uint8

// Vendor IDs. Of the NAT-T ones exactly one is answered.
const (
	VendorRFC3947 VendorID = iota + 1
	VendorNATTDraft03
	VendorNATTDraft02N // draft-02 with a line feed in what was hashed
	VendorNATTDraft02
	VendorDPD
	VendorFragmentation
	VendorMicrosoft      // claims to be Windows
	VendorInitialContact // Microsoft's, which stands for a notify of that name
)

// String names the vendor ID.
func (v VendorID) String() string {
	switch v {
	case VendorRFC3947:
		return "RFC 3947"
	case VendorNATTDraft03:
		return "draft-ietf-ipsec-nat-t-ike-03"
	case VendorNATTDraft02N:
		return `draft-ietf-ipsec-nat-t-ike-02\n`
	case VendorNATTDraft02:
		return "draft-ietf-ipsec-nat-t-ike-02"
	case VendorDPD:
		return "Dead Peer Detection"
	case VendorFragmentation:
		return "FRAGMENTATION"
	case VendorMicrosoft:
		return "MS NT5 ISAKMPOAKLEY"
	case VendorInitialContact:
		return "Vid-Initial-Contact"
	default:
		return fmt.Sprintf("VendorID(%d)", uint8(v))
	}
}

// VendorIDsByName returns what an administrator calls "nat-t", "dpd",
// "fragmentation", "ms" or "initial-contact"; nil for any other word.
func VendorIDsByName(name string) []VendorID {
	switch name {
	case "nat-t":
		return []VendorID{VendorRFC3947, VendorNATTDraft03, VendorNATTDraft02N, VendorNATTDraft02}
	case "dpd":
		return []VendorID{VendorDPD}
	case "fragmentation":
		return []VendorID{VendorFragmentation}
	case "ms":
		return []VendorID{VendorMicrosoft}
	case "initial-contact":
		return []VendorID{VendorInitialContact}
	default:
		return nil
	}
}

// DefaultVendorIDs returns the vendor IDs that do something here, NAT-T in
// order of preference. Servers that send more have broken Windows clients.
func DefaultVendorIDs() []VendorID {
	return []VendorID{VendorRFC3947, VendorNATTDraft03, VendorNATTDraft02N, VendorNATTDraft02, VendorDPD, VendorFragmentation}
}

// What vendor IDs are on the wire. Most are the MD5 of a name.
const (
	vidRFC3947        = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f"
	vidNATTDraft03    = "\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56"
	vidNATTDraft02N   = "\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f"
	vidNATTDraft02    = "\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48"
	vidNATTDraft00    = "\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc"
	vidDPD            = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00"
	vidMicrosoft      = "\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61" // and a version
	vidMicrosoftVIC   = "\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19" // Vid-Initial-Contact
	vidMicrosoftNego  = "\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20"
	vidApple          = "\x4d\xf3\x79\x28\xe9\xfc\x4f\xd1\xb3\x26\x21\x70\xd5\x15\xc6\x62" // never answered
	vidXAuth          = "\x09\x00\x26\x89\xdf\xd6\xb7\x12"
	vidFragmentation  = "\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3" // may end in a capability word
	vidFragmentation8 = vidFragmentation + "\x80\x00\x00\x00"
	vidStrongSwan     = "\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb"
	vidLibreswan      = "OE-Libreswan-"
)

// wire returns the vendor ID's bytes, "" if it has none.
func (v VendorID) wire() string {
	switch v {
	case VendorRFC3947:
		return vidRFC3947
	case VendorNATTDraft03:
		return vidNATTDraft03
	case VendorNATTDraft02N:
		return vidNATTDraft02N
	case VendorNATTDraft02:
		return vidNATTDraft02
	case VendorDPD:
		return vidDPD
	case VendorFragmentation:
		return vidFragmentation8
	case VendorMicrosoft:
		return vidMicrosoft + "\x00\x00\x00\x09"
	case VendorInitialContact:
		return vidMicrosoftVIC
	default:
		return ""
	}
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

// ClientKind is what a peer's vendor IDs tell about its software. They prove
// nothing: only leniency may depend on it.
type ClientKind uint8

// Kinds of clients.
const (
	ClientUnknown ClientKind = iota
	ClientWindows
	ClientApple
	ClientAndroid
	ClientStrongSwan
	ClientLibreswan
)

// String names the kind.
func (k ClientKind) String() string {
	switch k {
	case ClientUnknown:
		return "unknown"
	case ClientWindows:
		return "Windows"
	case ClientApple:
		return "Apple"
	case ClientAndroid:
		return "Android"
	case ClientStrongSwan:
		return "strongSwan"
	case ClientLibreswan:
		return "Libreswan"
	default:
		return fmt.Sprintf("ClientKind(%d)", uint8(k))
	}
}

// classify tells from its vendor IDs what a peer is. Windows, Apple and some
// others have IDs of their own. Android's racoon and strongSwan do not send
// one, but only they send exactly these sets.
func classify(vendor [][]byte) ClientKind {
	for _, v := range vendor {
		s := string(v)
		switch {
		case bytes.HasPrefix(v, []byte(vidMicrosoft)), s == vidMicrosoftVIC, s == vidMicrosoftNego:
			return ClientWindows
		case s == vidApple:
			return ClientApple
		case s == vidStrongSwan:
			return ClientStrongSwan
		case bytes.HasPrefix(v, []byte(vidLibreswan)):
			return ClientLibreswan
		}
	}
	switch {
	case same(vendor, vidRFC3947, vidNATTDraft02, vidNATTDraft02N, vidNATTDraft00, vidFragmentation8, vidDPD):
		return ClientAndroid
	case same(vendor, vidXAuth, vidDPD, vidFragmentation8, vidRFC3947, vidNATTDraft02N):
		return ClientStrongSwan
	default:
		return ClientUnknown
	}
}

// same reports whether vendor holds just these IDs, in any order.
func same(vendor [][]byte, ids ...string) bool {
	if len(vendor) != len(ids) {
		return false
	}
	for _, id := range ids {
		if !offered(vendor, id) {
			return false
		}
	}
	return true
}

func offered(vendor [][]byte, id string) bool {
	for _, v := range vendor {
		if string(v) == id {
			return true
		}
	}
	return false
}

// offeredAs returns the form in which a peer offered the vendor ID, "" if it
// did not. Windows sends that of fragmentation bare; others add a word of which
// the highest bit stands for Main and Aggressive Mode.
func (v VendorID) offeredAs(vendor [][]byte) string {
	for _, b := range vendor {
		switch s := string(b); v {
		case VendorFragmentation:
			word, ok := strings.CutPrefix(s, vidFragmentation)
			if ok && (word == "" || len(word) == 4 && word[0]&0x80 != 0) {
				return s
			}
		case VendorMicrosoft:
			if strings.HasPrefix(s, vidMicrosoft) {
				return s
			}
		default:
			if s == v.wire() {
				return s
			}
		}
	}
	return ""
}

// agreement is what we and a peer both want.
type agreement struct {
	natt      NATTVersion // one of them
	dpd       bool
	fragments bool
	answer    []isakmp.Payload // what says so, which a responder sends
}

// drop takes back the answer of a vendor ID.
func (a *agreement) drop(which func(string) bool) {
	a.answer = slices.DeleteFunc(slices.Clone(a.answer), func(p isakmp.Payload) bool {
		v, ok := p.(isakmp.VendorID)
		return ok && which(string(v))
	})
}

// vendorIDs are what an initiator offers.
func (p *Policy) vendorIDs() (list []isakmp.Payload) {
	for _, v := range p.VendorIDs {
		if v.wire() != "" {
			list = append(list, isakmp.VendorID(v.wire()))
		}
	}
	return list
}

// agree picks what we and the peer both want.
func agree(policy []VendorID, vendor [][]byte) (a agreement) {
	for _, v := range policy {
		wire := v.offeredAs(vendor)
		if wire == "" || slices.ContainsFunc(a.answer, func(p isakmp.Payload) bool {
			said, ok := p.(isakmp.VendorID)
			return ok && string(said) == wire
		}) {
			continue // nothing twice
		}
		switch {
		case v == VendorFragmentation:
			a.fragments = true
		case v == VendorDPD:
			a.dpd = true
		case v.natt() != NATTNone && a.natt == NATTNone:
			a.natt = v.natt()
		case v.natt() != NATTNone:
			continue // one NAT-T vendor ID
		}
		a.answer = append(a.answer, isakmp.VendorID(wire))
	}
	return a
}
