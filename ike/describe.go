package ike

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/ike/isakmp"
)

const (
	maxNamed   = 32 // transforms of one offer
	espAuthMD5 = 1  // RFC 2407, section 4.5
)

// describeOffer names what was proposed.
func describeOffer(sa isakmp.SA) (list []string) {
	for _, p := range sa.Proposals {
		for _, t := range p.Transforms {
			if len(list) < maxNamed {
				list = append(list, describeESP(p, t))
			}
		}
	}
	return list
}

// describeESP names a transform of phase 2 for the administrator, as ESPSuite
// does, also one that has no place in an ESPSuite: what of it is unknown here is
// named by its number, and what cannot be accepted is said behind it.
func describeESP(p isakmp.Proposal, t isakmp.Transform) string {
	if p.Protocol != isakmp.ProtocolESP {
		return fmt.Sprintf("protocol %d, transform %d", p.Protocol, t.ID)
	}
	values := map[uint16]uint64{}
	for _, a := range t.Attributes {
		if v, ok := a.Uint(); ok {
			values[a.Type] = v
		}
	}
	name := espCipherName(t.ID)
	if bits := values[attrESPKeyBits]; bits != 0 {
		name += fmt.Sprintf("-%d", bits)
	}
	parts := []string{name}
	if auth, ok := values[attrESPAuth]; ok {
		parts = append(parts, espAuthName(auth))
	}
	if group := values[attrESPGroup]; group != 0 {
		parts = append(parts, Group(group).String())
	}
	name = strings.Join(parts, "/")
	if !slices.Contains([]uint64{encapTransport, encapUDPTransport, encapUDPTransportDraft}, values[attrESPEncap]) {
		name += fmt.Sprintf(" (not transport but mode %d)", values[attrESPEncap])
	}
	if values[attrESPESN] == 1 {
		name += " (extended sequence numbers)"
	}
	return name
}

// espCipherName names a transform identifier (RFC 2407, section 4.4.4).
func espCipherName(id uint8) string {
	switch id {
	case isakmp.TransformESPDES:
		return "DES"
	case isakmp.TransformESP3DES:
		return ESP3DES.String()
	case isakmp.TransformESPNull:
		return "NULL"
	case isakmp.TransformESPAES:
		return ESPAESCBC.String()
	case isakmp.TransformESPGCM16:
		return ESPAESGCM16.String()
	default:
		return fmt.Sprintf("cipher %d", id)
	}
}

// espAuthName names an authentication algorithm (RFC 2407, section 4.5).
func espAuthName(number uint64) string {
	for a := ESPAuthSHA1_96; a <= ESPAuthSHA512_256; a++ {
		if number == uint64(espAuthNumber(a)) {
			return a.String()
		}
	}
	if number == espAuthMD5 {
		return "MD5-96"
	}
	return fmt.Sprintf("authentication %d", number)
}
