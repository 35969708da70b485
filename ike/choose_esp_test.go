package ike

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// espTransform makes a transform of ESP with short attributes, type and value in
// turn. It is for transport mode unless an attribute says otherwise.
func espTransform(id uint8, attributes ...uint16) isakmp.Transform {
	t := isakmp.Transform{Number: 1, ID: id, Attributes: []isakmp.Attribute{}}
	mode := true
	for i := 0; i < len(attributes); i += 2 {
		t.Attributes = append(t.Attributes, isakmp.ShortAttribute(attributes[i], attributes[i+1]))
		mode = mode && attributes[i] != attrESPEncap
	}
	if mode {
		t.Attributes = append(t.Attributes, isakmp.ShortAttribute(attrESPEncap, encapTransport))
	}
	return t
}

func espProposal(number uint8, transforms ...isakmp.Transform) isakmp.Proposal {
	return isakmp.Proposal{Number: number, Protocol: isakmp.ProtocolESP, SPI: []byte{0xc0, 0xff, 0xee, number}, Transforms: transforms}
}

func TestPhase2TransformsThatWeCannotUse(t *testing.T) {
	long := espTransform(12, 6, 256, 5, 2, 1, 1)
	long.Attributes = append(long.Attributes, isakmp.LongAttribute(2, 3600), isakmp.ShortAttribute(1, 2), isakmp.LongAttribute(2, 250000))
	tests := []struct {
		name string
		t    isakmp.Transform
		want string // "": refused
	}{
		{"AES-CBC with SHA1", espTransform(12, 6, 256, 5, 2), "AES-CBC-256/SHA1-96"},
		{"AES-CBC without a key length", espTransform(12, 5, 2), "AES-CBC-128/SHA1-96"},
		{"AES-192, as RouterOS asks", espTransform(12, 6, 192, 5, 2), "AES-CBC-192/SHA1-96"},
		{"SHA2-256", espTransform(12, 6, 128, 5, 5), "AES-CBC-128/SHA256-128"},
		{"SHA2-384", espTransform(12, 6, 128, 5, 6), "AES-CBC-128/SHA384-192"},
		{"SHA2-512", espTransform(12, 6, 128, 5, 7), "AES-CBC-128/SHA512-256"},
		{"3DES", espTransform(3, 5, 2), "3DES/SHA1-96"},
		{"AES-GCM", espTransform(20, 6, 128), "AES-GCM16-128"},
		{"lifetimes in the long form", long, "AES-CBC-256/SHA1-96"},
		{"encapsulation of RFC 3947", espTransform(12, 4, 4, 5, 2), "AES-CBC-128/SHA1-96"},
		{"encapsulation of the drafts", espTransform(12, 4, 61444, 5, 2), "AES-CBC-128/SHA1-96"},
		{"an unknown attribute", espTransform(12, 5, 2, 30000, 1), "AES-CBC-128/SHA1-96"},
		{"32-bit sequence numbers, said aloud", espTransform(12, 5, 2, 11, 0), "AES-CBC-128/SHA1-96"},
		{"tunnel mode", espTransform(12, 4, 1, 5, 2), ""},
		{"UDP tunnel mode", espTransform(12, 4, 3, 5, 2), ""},
		{"UDP tunnel mode of the drafts", espTransform(12, 4, 61443, 5, 2), ""},
		{"extended sequence numbers", espTransform(12, 5, 2, 11, 1), ""},
		{"DES", espTransform(2, 5, 2), ""},
		{"NULL", espTransform(11, 5, 2), ""},
		{"AES-CTR", espTransform(13, 6, 128, 5, 2), ""},
		{"AES-GCM with a short check value", espTransform(18, 6, 128), ""},
		{"AES-GCM without a key length", espTransform(20), ""},
		{"AES-GCM with an authentication algorithm", espTransform(20, 6, 128, 5, 2), ""},
		{"AES-CBC without authentication", espTransform(12, 6, 128), ""},
		{"MD5", espTransform(12, 6, 128, 5, 1), ""},
		{"AES-512", espTransform(12, 6, 512, 5, 2), ""},
		{"PFS without a public value", espTransform(12, 6, 128, 5, 2, 3, 2), ""},
		{"two key lengths", espTransform(12, 6, 128, 5, 2, 6, 256), ""},
	}
	noMode := espTransform(12, 5, 2)
	noMode.Attributes = noMode.Attributes[:1]
	tests = append(tests, struct {
		name string
		t    isakmp.Transform
		want string
	}{"no encapsulation mode", noMode, ""})
	for _, tt := range tests {
		sa := isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, espTransform(2, 5, 1), tt.t)}}
		c, ok := chooseESP(espWish{policy: DefaultESP()}, sa)
		if got := c.offer.suite.String(); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %v, %v", tt.name, ok, got)
		}
		if ok && !bytes.Equal(c.proposal.Transforms[0].AppendBody(nil), tt.t.AppendBody(nil)) {
			t.Errorf("%s: the transform is not echoed", tt.name)
		}
	}
	c, _ := chooseESP(espWish{policy: DefaultESP()}, isakmp.SA{Proposals: []isakmp.Proposal{espProposal(1, long)}})
	if c.offer.lifetime != time.Hour || c.offer.kilobytes != 250000 {
		t.Errorf("lifetimes in the long form are %v and %d kB", c.offer.lifetime, c.offer.kilobytes)
	}
}

func TestPhase2Choice(t *testing.T) {
	aes256, aes128, des3 := espTransform(12, 6, 256, 5, 2), espTransform(12, 6, 128, 5, 2), espTransform(3, 5, 2)
	sha256 := espTransform(12, 6, 256, 5, 5)
	ah := isakmp.Proposal{Number: 1, Protocol: isakmp.ProtocolAH, SPI: []byte{1, 2, 3, 4}, Transforms: []isakmp.Transform{espTransform(3, 5, 2)}}
	reserved := espProposal(1, aes256)
	reserved.SPI = []byte{0, 0, 0, 255}
	longSPI := espProposal(1, aes256)
	longSPI.SPI = make([]byte, 8)
	udp := espTransform(12, 6, 256, 5, 2, 4, 4)
	tests := []struct {
		name string
		wish espWish
		list []isakmp.Proposal
		want string
		from uint8 // number of the proposal, 0: refused
	}{
		{
			"Windows: a proposal a cipher", espWish{},
			[]isakmp.Proposal{espProposal(1, aes256), espProposal(2, aes128), espProposal(3, des3), espProposal(4, espTransform(2, 5, 2))},
			"AES-CBC-256/SHA1-96", 1,
		},
		{
			"Windows 7: DES first", espWish{},
			[]isakmp.Proposal{espProposal(1, espTransform(2, 5, 2)), espProposal(2, des3), espProposal(3, aes128)},
			"AES-CBC-128/SHA1-96", 3,
		},
		{"Apple: one proposal", espWish{}, []isakmp.Proposal{espProposal(1, sha256, aes256, aes128, des3)}, "AES-CBC-256/SHA256-128", 1},
		{"Android: SHA2-256 last", espWish{shunSHA256: true}, []isakmp.Proposal{espProposal(1, sha256, aes128, des3)}, "AES-CBC-128/SHA1-96", 1},
		{"Android: only SHA2-256", espWish{shunSHA256: true}, []isakmp.Proposal{espProposal(1, sha256)}, "AES-CBC-256/SHA256-128", 1},
		{"the mode that fits", espWish{udp: true}, []isakmp.Proposal{espProposal(1, aes256), espProposal(2, udp)}, "AES-CBC-256/SHA1-96", 2},
		{"the mode that fits, without NAT", espWish{}, []isakmp.Proposal{espProposal(1, udp), espProposal(2, aes256)}, "AES-CBC-256/SHA1-96", 2},
		{"the other mode for want of better", espWish{udp: true}, []isakmp.Proposal{espProposal(1, aes256)}, "AES-CBC-256/SHA1-96", 1},
		{"together with AH", espWish{}, []isakmp.Proposal{ah, espProposal(1, aes256), espProposal(2, des3)}, "3DES/SHA1-96", 2},
		{"only AH", espWish{}, []isakmp.Proposal{ah}, "", 0},
		{"a reserved SPI", espWish{}, []isakmp.Proposal{reserved}, "", 0},
		{"an SPI of 8 bytes", espWish{}, []isakmp.Proposal{longSPI}, "", 0},
		{"nothing", espWish{}, nil, "", 0},
		{
			"the group of the public value", espWish{public: 256},
			[]isakmp.Proposal{espProposal(1, espTransform(12, 6, 256, 5, 2, 3, 2), espTransform(12, 6, 128, 5, 2, 3, 14))},
			"AES-CBC-128/SHA1-96/MODP2048", 1,
		},
		{"a public value and no group", espWish{public: 128}, []isakmp.Proposal{espProposal(1, aes256)}, "", 0},
	}
	for _, tt := range tests {
		tt.wish.policy = DefaultESP()
		c, ok := chooseESP(tt.wish, isakmp.SA{Proposals: tt.list})
		if ok != (tt.from != 0) || ok && (c.offer.suite.String() != tt.want || c.proposal.Number != tt.from || c.spi != 0xc0ffee00+uint32(tt.from)) {
			t.Errorf("%s: %v from proposal %d, %v", tt.name, c.offer.suite, c.proposal.Number, ok)
		}
	}
}

// The administrator is told what a client offered when it was refused, including
// values that have no name here.
func TestARefusedOfferIsNamed(t *testing.T) {
	tunnel := espTransform(12, 6, 256, 5, 2)
	for i, a := range tunnel.Attributes {
		if a.Type == attrESPEncap {
			tunnel.Attributes[i] = isakmp.ShortAttribute(attrESPEncap, 1)
		}
	}
	sa := isakmp.SA{Proposals: []isakmp.Proposal{
		espProposal(1, espTransform(3, 5, 1), espTransform(12, 6, 128, 5, 9), espTransform(7, 6, 448), espTransform(12, 6, 256, 5, 2, 3, 22), tunnel, espTransform(12, 5, 2, 11, 1)),
		{Number: 2, Protocol: isakmp.ProtocolAH, SPI: []byte{1, 2, 3, 4}, Transforms: []isakmp.Transform{{Number: 1, ID: 3}}},
	}}
	want := []string{
		"3DES/MD5-96", "AES-CBC-128/authentication 9", "cipher 7-448", "AES-CBC-256/SHA1-96/Group(22)",
		"AES-CBC-256/SHA1-96 (not transport but mode 1)", "AES-CBC/SHA1-96 (extended sequence numbers)", "AH, transform 3",
	}
	if got := describeOffer(sa); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if n := len(describeOffer(isakmp.SA{Proposals: slices.Repeat(sa.Proposals, 10)})); n != len(want) {
		t.Errorf("%d names of %d, each ten times", n, len(want))
	}
	for bits := range uint16(60) {
		sa.Proposals[0].Transforms = append(sa.Proposals[0].Transforms, espTransform(7, 6, 1+bits))
	}
	if list := describeOffer(sa); len(list) != maxNamed || list[maxNamed-1] != "and 36 more" {
		t.Errorf("%d of 67 transforms are named, the last %s", len(list), list[len(list)-1])
	}
}
