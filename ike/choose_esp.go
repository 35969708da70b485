package ike

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// espOffer is what a transform of phase 2 says.
type espOffer struct {
	suite     ESPSuite // with the PFS group
	udp       bool     // an encapsulation mode with UDP
	lifetime  time.Duration
	kilobytes uint64
}

// readESP reads a transform of an ESP proposal. ok is false if it is not known
// here, or if it is for tunnel mode or extended sequence numbers.
func readESP(t isakmp.Transform) (o espOffer, ok bool) {
	values := make(map[uint16]uint64, len(t.Attributes))
	for _, a := range t.Attributes {
		v, fits := a.Uint()
		switch a.Type {
		case attrESPGroup, attrESPEncap, attrESPAuth, attrESPKeyBits, attrESPESN:
			if _, twice := values[a.Type]; twice || !fits {
				return o, false
			}
			values[a.Type] = v
		}
	}
	switch values[attrESPEncap] {
	case encapTransport:
	case encapUDPTransport, encapUDPTransportDraft:
		o.udp = true
	default:
		return o, false
	}
	// RFC 4304: 64-bit sequence numbers have to be negotiated.
	if values[attrESPESN] == 1 || values[attrESPGroup] > 1<<16-1 {
		return o, false
	}
	o.suite.Group = Group(values[attrESPGroup])
	if o.suite.Group != 0 && o.suite.Group.publicLen() == 0 {
		return o, false
	}
	auth, authGiven := values[attrESPAuth]
	for a := ESPAuthSHA1_96; a <= ESPAuthSHA512_256; a++ {
		if auth == uint64(espAuthNumber(a)) {
			o.suite.Auth = a
		}
	}
	if !readESPCipher(&o.suite, t.ID, values) {
		return o, false
	}
	// AES-GCM authenticates by itself (RFC 4106); every other cipher here needs an
	// integrity algorithm beside it.
	if aead := o.suite.Cipher == ESPAESGCM16; aead && authGiven || !aead && o.suite.Auth == ESPAuthNone {
		return o, false
	}
	o.lifetime, o.kilobytes = lifetimes(t.Attributes, attrESPLifeType, attrESPLife)
	return o, true
}

func readESPCipher(s *ESPSuite, id uint8, values map[uint16]uint64) bool {
	switch id {
	case isakmp.TransformESP3DES:
		s.Cipher = ESP3DES
		return true
	case isakmp.TransformESPAES:
		s.Cipher = ESPAESCBC
	case isakmp.TransformESPGCM16:
		s.Cipher = ESPAESGCM16
	default:
		return false
	}
	bits, given := values[attrESPKeyBits]
	if !given && s.Cipher == ESPAESCBC {
		bits = 128
	}
	s.KeyBits = int(bits & 0x3ff)
	return bits == 128 || bits == 192 || bits == 256
}

// espWish is what decides which of a peer's phase-2 offers is chosen.
type espWish struct {
	policy []ESPSuite
	pfs    []Group // nil: all

	// public is the length of the public value that came with the offer, 0 if
	// there was none. Only transforms of such a group are consistent with the
	// message.
	public int

	// udp prefers the UDP encapsulation mode, because phase 1 found it necessary.
	udp bool

	// shunSHA256 puts SHA2-256 last, because old Android cuts its ICV to 96 bits.
	shunSHA256 bool
}

// espChoice is the chosen transform with the SPI of its proposal.
type espChoice struct {
	proposal isakmp.Proposal // with the one transform, and the peer's SPI
	offer    espOffer
	spi      uint32
}

// chooseESP picks the transform that wish wants most.
func chooseESP(wish espWish, sa isakmp.SA) (best espChoice, ok bool) {
	rank := -1
	for _, p := range sa.Proposals {
		// RFC 4303, section 2.1: SPIs of 1 to 255 are reserved, 0 is local.
		if p.Protocol != isakmp.ProtocolESP || len(p.SPI) != 4 || bundled(sa, p) {
			continue
		}
		spi := binary.BigEndian.Uint32(p.SPI)
		for _, t := range p.Transforms {
			o, known := readESP(t)
			if !known {
				continue
			}
			r := wish.rank(o)
			if spi > 255 && r >= 0 && (rank < 0 || r < rank) {
				rank = r
				best = espChoice{p, o, spi}
				best.proposal.Transforms = []isakmp.Transform{t}
			}
		}
	}
	return best, rank >= 0
}

// rank is lower the more an offer is wanted, and negative if it is not acceptable.
func (w espWish) rank(o espOffer) int {
	if o.suite.Group.publicLen() != w.public || o.suite.Group != 0 && w.pfs != nil && !slices.Contains(w.pfs, o.suite.Group) {
		return -1
	}
	for i, want := range w.policy {
		want.Group = o.suite.Group
		if want != o.suite {
			continue
		}
		r := 2 * i
		if o.udp != w.udp {
			r++
		}
		if w.shunSHA256 && want.Auth == ESPAuthSHA256_128 {
			r += 2 * len(w.policy)
		}
		return r
	}
	return -1
}

// detail says why nothing was chosen if the names of the offered suites do not
// show it: those may look acceptable.
func (w espWish) detail(sa isakmp.SA) string {
	for _, p := range sa.Proposals {
		if len(p.SPI) != 4 && p.Protocol == isakmp.ProtocolESP {
			return fmt.Sprintf("an SPI of %d bytes, where ESP has 4", len(p.SPI))
		}
		if p.Protocol == isakmp.ProtocolESP && bundled(sa, p) {
			return "ESP is offered together with another protocol only"
		}
		for _, t := range p.Transforms {
			o, known := readESP(t)
			other := w
			other.public = o.suite.Group.publicLen()
			if known && p.Protocol == isakmp.ProtocolESP && other.rank(o) >= 0 {
				return fmt.Sprintf("%v, which is accepted, takes a public value of %d bytes, and one of %d came", o.suite, other.public, w.public)
			}
		}
	}
	return ""
}

// bundled reports whether p is offered together with another protocol: proposals
// with the same number are meant to be applied together (RFC 2408, section 4.2).
func bundled(sa isakmp.SA, p isakmp.Proposal) bool {
	for _, q := range sa.Proposals {
		if q.Number == p.Number && q.Protocol != p.Protocol {
			return true
		}
	}
	return false
}

// offerESP writes our proposal as initiator: one proposal with one transform for
// each suite, all for our one SPI.
func offerESP(suites []ESPSuite, spi uint32, group Group, mode uint16, life time.Duration, kilobytes uint64) isakmp.SA {
	p := isakmp.Proposal{
		Number: 1, Protocol: isakmp.ProtocolESP, SPI: binary.BigEndian.AppendUint32(nil, spi),
	}
	for _, s := range suites {
		if len(p.Transforms) == maxOffer {
			break
		}
		a := []isakmp.Attribute{isakmp.ShortAttribute(attrESPEncap, mode)}
		if s.KeyBits > 0 {
			a = append(a, isakmp.ShortAttribute(attrESPKeyBits, uint16(s.KeyBits)))
		}
		if s.Auth != ESPAuthNone {
			a = append(a, isakmp.ShortAttribute(attrESPAuth, espAuthNumber(s.Auth)))
		}
		if group != 0 {
			a = append(a, isakmp.ShortAttribute(attrESPGroup, uint16(group)))
		}
		a = lifeAttributes(a, attrESPLifeType, attrESPLife, lifeSeconds, uint64(life/time.Second))
		if kilobytes > 0 {
			a = lifeAttributes(a, attrESPLifeType, attrESPLife, lifeKilobytes, kilobytes)
		}
		p.Transforms = append(p.Transforms, isakmp.Transform{
			Number: uint8(len(p.Transforms) + 1), ID: espTransformID(s.Cipher), Attributes: a,
		})
	}
	return isakmp.SA{Proposals: []isakmp.Proposal{p}}
}
