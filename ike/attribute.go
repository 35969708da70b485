package ike

import (
	"time"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Phase-1 attribute types (RFC 2409, appendix A).
const (
	attrCipher     = 1
	attrHash       = 2
	attrAuthMethod = 3
	attrGroup      = 4
	attrGroupPrime = 6
	attrLifeType   = 11
	attrLife       = 12
	attrPRF        = 13
	attrKeyBits    = 14
)

// Phase-2 attribute types (RFC 2407, section 4.5; RFC 4304).
const (
	attrESPLifeType = 1
	attrESPLife     = 2
	attrESPGroup    = 3
	attrESPEncap    = 4
	attrESPAuth     = 5
	attrESPKeyBits  = 6
	attrESPESN      = 11
)

const (
	lifeSeconds   = 1
	lifeKilobytes = 2
)

// Encapsulation modes (RFC 2407, section 4.5; RFC 3947, section 5.1; the private
// number of the drafts). All other values are tunnel modes or unknown.
const (
	encapTransport         = 2
	encapUDPTransport      = 4
	encapUDPTransportDraft = 61444
)

// RFC 2407, section 4.5: "If unspecified, the default value shall be assumed
// to be 28800 seconds (8 hours)."
const defaultLifetime = 28800 * time.Second

// maxLifetime keeps a peer's number of seconds small enough to be added to a time.
const maxLifetime = 10 * 365 * 24 * time.Hour

// seconds turns a life duration into time. A duration of 0 from a peer is as good
// as none.
func seconds(v uint64) time.Duration {
	switch {
	case v == 0:
		return defaultLifetime
	case v > uint64(maxLifetime/time.Second):
		return maxLifetime
	default:
		return time.Duration(v) * time.Second
	}
}

// lifetimes reads pairs of life type and life duration. The duration may be of any
// length. Without seconds the lifetime is defaultLifetime; without kilobytes their
// number is 0.
func lifetimes(attributes []isakmp.Attribute, typ, duration uint16) (life time.Duration, kilobytes uint64) {
	life = defaultLifetime
	var kind uint64
	for _, a := range attributes {
		v, ok := a.Uint()
		switch a.Type {
		case typ:
			kind = v
		case duration:
			if !ok {
				v = 1 << 63 // longer than eight bytes: as good as no limit
			}
			switch kind {
			case lifeSeconds:
				life = seconds(v)
			case lifeKilobytes:
				kilobytes = v
			}
		}
	}
	return life, kilobytes
}

// lifeAttributes writes a lifetime, in the short form if it fits.
func lifeAttributes(list []isakmp.Attribute, typ, duration, kind uint16, v uint64) []isakmp.Attribute {
	list = append(list, isakmp.ShortAttribute(typ, kind))
	if v < 1<<16 {
		return append(list, isakmp.ShortAttribute(duration, uint16(v)))
	}
	return append(list, isakmp.LongAttribute(duration, uint32(min(v, 1<<32-1))))
}

// Numbers of phase-1 ciphers and hashes, and of phase-2 integrity algorithms
// (IANA: ipsec-registry, isakmp-registry).
func cipherNumber(c Cipher) uint16 {
	switch c {
	case CipherAES:
		return 7
	case Cipher3DES:
		return 5
	default:
		return 0
	}
}

func hashNumber(h Hash) uint16 {
	switch h {
	case HashMD5:
		return 1
	case HashSHA1:
		return 2
	case HashSHA256:
		return 4
	case HashSHA384:
		return 5
	case HashSHA512:
		return 6
	default:
		return 0
	}
}

func espAuthNumber(a ESPAuth) uint16 {
	switch a {
	case ESPAuthSHA1_96:
		return 2
	case ESPAuthSHA256_128:
		return 5
	case ESPAuthSHA384_192:
		return 6
	case ESPAuthSHA512_256:
		return 7
	default:
		return 0
	}
}

func espTransformID(c ESPCipher) uint8 {
	switch c {
	case ESPAESCBC:
		return isakmp.TransformESPAES
	case ESP3DES:
		return isakmp.TransformESP3DES
	case ESPAESGCM16:
		return isakmp.TransformESPGCM16
	default:
		return 0
	}
}
