package ike

import (
	"crypto/ecdh"
	"fmt"
	"io"

	"filippo.io/bigmod"

	"github.com/adit-vpn/adit/internal/secret"
)

// dhKey is our half of a key exchange. Public has the form that it has on the
// wire: left-padded to the group's size, and both coordinates for the curves of
// RFC 5903.
type dhKey struct {
	Group   Group
	Private secret.Bytes
	Public  []byte
}

// newDHKey makes a key from the given randomness alone: the same randomness gives
// the same key.
func newDHKey(rand io.Reader, g Group) (dhKey, error) {
	if m := g.modp(); m != nil {
		x := make([]byte, m.exponent)
		if _, err := io.ReadFull(rand, x); err != nil {
			return dhKey{}, err
		}
		return dhKey{g, secret.New(x), m.base().power(x)}, nil
	}
	curve, size := g.curve()
	if curve == nil {
		return dhKey{}, fmt.Errorf("%w: %v", ErrKeyExchange, g)
	}
	x := make([]byte, size)
	// On the curves of 256 and 384 bits a scalar is out of range once in 2^32; on
	// that of 521 bits, after masking, practically never.
	for range 64 {
		if _, err := io.ReadFull(rand, x); err != nil {
			return dhKey{}, err
		}
		if g == GroupECP521 {
			x[0] &= 1
		}
		key, err := curve.NewPrivateKey(x)
		if err != nil {
			continue
		}
		public := key.PublicKey().Bytes()
		if g.ecp() {
			public = public[1:] // the 4 of an uncompressed point
		}
		return dhKey{g, secret.New(x), public}, nil
	}
	return dhKey{}, fmt.Errorf("%w: randomness yields no scalar", ErrKeyExchange)
}

// checkPublic judges a peer's public value: its length, its range in a MODP
// group (1 < y < p-1), and that it is on the curve.
//
// RFC 2409, section 5: "The Diffie-Hellman public value passed in a KE payload
// [...] MUST be the length of the negotiated Diffie-Hellman group enforced, if
// necessary, by pre-pending the value with zeros."
func checkPublic(g Group, public []byte) error {
	if g.publicLen() == 0 || len(public) != g.publicLen() {
		return fmt.Errorf("%w: %d bytes in %v", ErrKeyExchange, len(public), g)
	}
	if m := g.modp(); m != nil {
		p := m.modulus()
		y, err := bigmod.NewNat().SetBytes(public, p)
		if err != nil || y.IsZero() == 1 || y.IsOne() == 1 || y.IsMinusOne(p) == 1 {
			return fmt.Errorf("%w: out of range in %v", ErrKeyExchange, g)
		}
		return nil
	}
	_, err := peerKey(g, public)
	return err
}

// peerKey reads a peer's public value on a curve.
func peerKey(g Group, public []byte) (*ecdh.PublicKey, error) {
	curve, _ := g.curve()
	if g.ecp() {
		public = append([]byte{4}, public...)
	}
	key, err := curve.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: not on %v", ErrKeyExchange, g)
	}
	return key, nil
}

// shared computes g^xy, left-padded to the group's size. For the curves of RFC
// 5903 it is the x coordinate (section 7).
func (k dhKey) shared(public []byte) ([]byte, error) {
	if err := checkPublic(k.Group, public); err != nil {
		return nil, err
	}
	if m := k.Group.modp(); m != nil {
		y, err := bigmod.NewNat().SetBytes(public, m.modulus())
		if err != nil {
			return nil, fmt.Errorf("%w: out of range in %v", ErrKeyExchange, k.Group)
		}
		return m.power(y, k.Private.Reveal()), nil
	}
	curve, _ := k.Group.curve()
	private, err := curve.NewPrivateKey(k.Private.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%w: our key is not of %v", ErrKeyExchange, k.Group)
	}
	peer, err := peerKey(k.Group, public)
	if err != nil {
		return nil, err
	}
	z, err := private.ECDH(peer) // refuses the all-zero result of Curve25519
	if err != nil {
		return nil, fmt.Errorf("%w: point of small order", ErrKeyExchange)
	}
	return z, nil
}

// power computes y^x mod p in a time that depends only on the length of x.
func (m *modp) power(y *bigmod.Nat, x []byte) []byte {
	p := m.modulus()
	return bigmod.NewNat().Exp(y, x, p).Bytes(p)
}
