package ike

import (
	"fmt"
	"strings"
)

// VendorID is a vendor ID that we can send.
type VendorID uint8

// Vendor IDs. Exactly one of the NAT-T ones is answered.
const (
	VendorRFC3947 VendorID = iota + 1
	VendorNATTDraft03
	VendorNATTDraft02N // draft-02, computed from a string that ends in a line feed
	VendorNATTDraft02
	VendorDPD
	VendorFragmentation
	VendorMicrosoft      // claims to be Windows
	VendorInitialContact // Microsoft's replacement for a notify of that name
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

// VendorIDsByName returns the vendor IDs that an administrator calls "nat-t",
// "dpd", "fragmentation", "ms" or "initial-contact"; nil for any other word.
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

// DefaultVendorIDs returns the vendor IDs that have an effect here, NAT-T in order
// of preference. Servers that sent more of them have broken Windows clients.
func DefaultVendorIDs() []VendorID {
	return []VendorID{VendorRFC3947, VendorNATTDraft03, VendorNATTDraft02N, VendorNATTDraft02, VendorDPD, VendorFragmentation}
}

// Vendor IDs as they are on the wire. Most are the MD5 of a name.
const (
	vidRFC3947        = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f"
	vidNATTDraft03    = "\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56"
	vidNATTDraft02N   = "\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f"
	vidNATTDraft02    = "\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48"
	vidNATTDraft00    = "\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc"
	vidDPD            = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00"
	vidMicrosoft      = "\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61" // a version follows
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

// offeredAs returns the form in which a peer offered the vendor ID, "" if it did
// not. Windows sends the fragmentation ID bare; others add a word whose highest
// bit stands for Main and Aggressive Mode.
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

func offered(vendor [][]byte, id string) bool {
	for _, v := range vendor {
		if string(v) == id {
			return true
		}
	}
	return false
}
