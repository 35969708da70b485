package ike

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
)

// AuthMethod is how a phase 1 is authenticated, by its IANA number.
type AuthMethod uint16

// Authentication methods (RFC 2409, appendix A; RFC 4754, section 3).
const (
	AuthPSK      AuthMethod = 1
	AuthRSA      AuthMethod = 3
	AuthECDSA256 AuthMethod = 9
	AuthECDSA384 AuthMethod = 10
	AuthECDSA521 AuthMethod = 11

	// Methods that are not implemented here, but have names.
	authDSS         AuthMethod = 2
	authRSAEnc      AuthMethod = 4
	authRSARevised  AuthMethod = 5
	authHybridFirst AuthMethod = 64221 // draft-ietf-ipsec-isakmp-hybrid-auth-05
	authHybridLast  AuthMethod = 64224
	authXAUTHFirst  AuthMethod = 65001 // draft-beaulieu-ike-xauth-02: with a pre-shared key
	authXAUTHLast   AuthMethod = 65010
)

// XAUTH reports whether the method asks for a user name within IKE. Clients call
// this IPsec, Cisco IPsec or IPsec Xauth.
func (m AuthMethod) XAUTH() bool {
	return m >= authXAUTHFirst && m <= authXAUTHLast || m >= authHybridFirst && m <= authHybridLast
}

// String names the method.
func (m AuthMethod) String() string {
	switch m {
	case AuthPSK:
		return "pre-shared key"
	case AuthRSA:
		return "RSA signature"
	case AuthECDSA256:
		return "ECDSA-256 signature"
	case AuthECDSA384:
		return "ECDSA-384 signature"
	case AuthECDSA521:
		return "ECDSA-521 signature"
	case authDSS:
		return "DSS signature"
	case authRSAEnc, authRSARevised:
		return "RSA encryption"
	case authXAUTHFirst, authXAUTHFirst + 1:
		return "XAUTH with a pre-shared key"
	default:
		if m.XAUTH() {
			return "XAUTH with a certificate"
		}
		return fmt.Sprintf("method %d", uint16(m))
	}
}

// signs reports whether the method authenticates by certificates.
func (m AuthMethod) signs() bool { return m == AuthRSA || m.curve() != nil }

// curve is the curve of an ECDSA method, nil for other methods.
func (m AuthMethod) curve() elliptic.Curve {
	switch m {
	case AuthECDSA256:
		return elliptic.P256()
	case AuthECDSA384:
		return elliptic.P384()
	case AuthECDSA521:
		return elliptic.P521()
	default:
		return nil
	}
}

// hash is the hash of HASH_I and HASH_R: the negotiated one, except that each
// ECDSA method defines its own.
func (m AuthMethod) hash(negotiated Hash) Hash {
	switch m {
	case AuthECDSA256:
		return HashSHA256
	case AuthECDSA384:
		return HashSHA384
	case AuthECDSA521:
		return HashSHA512
	default:
		return negotiated
	}
}

// method is how the identity signs. It is 0 if IKE has no method for this kind of
// key.
func (i *Identity) method() AuthMethod {
	switch key := i.Key.Public().(type) {
	case *rsa.PublicKey:
		return AuthRSA
	case *ecdsa.PublicKey:
		for _, m := range []AuthMethod{AuthECDSA256, AuthECDSA384, AuthECDSA521} {
			if key.Curve == m.curve() {
				return m
			}
		}
	}
	return 0
}

// methods are those that the policy can do, most wanted first. Both ends of a
// phase 1 use the same method.
func (p *Policy) methods() (list []AuthMethod) {
	if p.Identity != nil && p.Authority != nil {
		if m := p.Identity.method(); m != 0 {
			list = append(list, m)
		}
	}
	if len(p.PSKs) > 0 {
		list = append(list, AuthPSK)
	}
	return list
}
