package ike

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/ike/isakmp"
)

const (
	maxNamed   = 32 // names listed of one offer; the last entry says how many more there are
	espAuthMD5 = 1  // RFC 2407, section 4.5
)

// phase1Value is the number that a transform of phase 1 has for an attribute, 0
// without one.
func phase1Value(t isakmp.Transform, attribute uint16) uint64 {
	for _, a := range t.Attributes {
		if v, ok := a.Uint(); ok && a.Type == attribute {
			return v
		}
	}
	return 0
}

// describePhase1 names a transform of phase 1 for the administrator, in the form
// that Suite has. It also names transforms that no Suite can express: unknown
// values appear as numbers. The authentication method is named unless it is a
// pre-shared key.
func describePhase1(p isakmp.Proposal, t isakmp.Transform) string {
	if p.Protocol != isakmp.ProtocolISAKMP || t.ID != isakmp.TransformKeyIKE {
		return fmt.Sprintf("%s, transform %d", describeProtocol(p.Protocol), t.ID)
	}
	name := cipherName(phase1Value(t, attrCipher))
	if bits := phase1Value(t, attrKeyBits); bits != 0 && name != Cipher3DES.String() {
		name += fmt.Sprint(bits)
	} else if name == CipherAES.String() {
		name += "128"
	}
	name += "-" + hashName(phase1Value(t, attrHash)) + "-" + groupName(phase1Value(t, attrGroup))
	if m := AuthMethod(min(phase1Value(t, attrAuthMethod), 1<<16-1)); m != AuthPSK {
		name += " by " + m.String()
	}
	if prf := phase1Value(t, attrPRF); prf != 0 {
		name += fmt.Sprintf(" (PRF %d)", prf)
	}
	if phase1Value(t, attrGroupPrime) != 0 || slices.ContainsFunc(t.Attributes, func(a isakmp.Attribute) bool { return a.Type == attrGroupPrime }) {
		name += " (a group of its own)"
	}
	seen := map[uint16]bool{}
	for _, a := range t.Attributes {
		if seen[a.Type] && a.Type != attrLifeType && a.Type != attrLife {
			return name + fmt.Sprintf(" (attribute %d twice)", a.Type)
		}
		seen[a.Type] = true
	}
	return name
}

// cipherName names a cipher of phase 1 (RFC 2409, appendix A; IANA:
// ipsec-registry).
func cipherName(number uint64) string {
	switch number {
	case 0:
		return "no cipher"
	case 1:
		return "DES"
	case 2:
		return "IDEA"
	case 3:
		return "Blowfish"
	case 4:
		return "RC5"
	case 5:
		return Cipher3DES.String()
	case 6:
		return "CAST"
	case 7:
		return CipherAES.String()
	case 8:
		return "Camellia"
	default:
		return fmt.Sprintf("cipher %d", number)
	}
}

// hashName names a hash of phase 1.
func hashName(number uint64) string {
	for h := HashMD5; h <= HashSHA512; h++ {
		if number == uint64(hashNumber(h)) {
			return h.String()
		}
	}
	switch number {
	case 0:
		return "no hash"
	case 3:
		return "Tiger"
	default:
		return fmt.Sprintf("hash %d", number)
	}
}

// groupName names a Diffie-Hellman group.
func groupName(number uint64) string {
	if number > 1<<16-1 {
		return fmt.Sprintf("group %d", number)
	}
	switch number {
	case 0:
		return "no group"
	case 1:
		return "MODP768"
	default:
		return Group(number).String()
	}
}

// describeOffer names what was proposed.
func describeOffer(sa isakmp.SA) (list []string) {
	for _, p := range sa.Proposals {
		for _, t := range p.Transforms {
			list = append(list, describeESP(p, t))
		}
	}
	return distinct(list)
}

// describeProtocol names what a proposal is for (RFC 2407, section 4.4.1).
func describeProtocol(p isakmp.Protocol) string {
	switch p {
	case isakmp.ProtocolISAKMP:
		return "ISAKMP"
	case isakmp.ProtocolAH:
		return "AH"
	case isakmp.ProtocolESP:
		return "ESP"
	case isakmp.ProtocolIPCOMP:
		return "IPCOMP"
	}
	return fmt.Sprintf("protocol %d", p)
}

// distinct lists each name once, and says how many more there are.
func distinct(names []string) (list []string) {
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if more := len(list) - maxNamed + 1; more > 1 {
		list = append(list[:maxNamed-1], fmt.Sprintf("and %d more", more))
	}
	return list
}

// describeESP names a transform of phase 2 for the administrator, in the form that
// ESPSuite has. It also names transforms that no ESPSuite can express: unknown
// values appear as numbers, and what cannot be accepted is added at the end.
func describeESP(p isakmp.Proposal, t isakmp.Transform) string {
	if p.Protocol != isakmp.ProtocolESP {
		return fmt.Sprintf("%s, transform %d", describeProtocol(p.Protocol), t.ID)
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
		parts = append(parts, groupName(group))
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
