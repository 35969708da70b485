package ipsec

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"hash"
)

// resumable is a hash whose state can be set: every hash used here can.
type resumable interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func newHash(a Auth) resumable {
	var h hash.Hash
	switch a {
	case HMACSHA1_96:
		h = sha1.New()
	case HMACSHA256_128:
		h = sha256.New()
	case HMACSHA384_192:
		h = sha512.New384()
	case HMACSHA512_256:
		h = sha512.New()
	default:
		return nil
	}
	r, _ := h.(resumable)
	return r
}

// macKey is an HMAC key (RFC 2104) as the states of the hash after its inner
// and its outer pad. It is immutable until it is zeroed; whoever computes
// brings the hash, so that an SA holds no scratch space.
type macKey struct {
	auth         Auth
	inner, outer []byte
}

func newMACKey(a Auth, key []byte) (macKey, error) {
	h := newHash(a)
	if h == nil {
		return macKey{}, nil
	}
	state := func(pad byte) ([]byte, error) {
		block := make([]byte, h.BlockSize())
		defer clear(block)
		copy(block, key) // no key here is longer than a block
		for i := range block {
			block[i] ^= pad
		}
		h.Reset()
		h.Write(block)
		return h.AppendBinary(nil)
	}
	inner, err := state(0x36)
	if err != nil {
		return macKey{}, err
	}
	outer, err := state(0x5c)
	if err != nil {
		return macKey{}, err
	}
	return macKey{a, inner, outer}, h.UnmarshalBinary(outer)
}

func (k *macKey) zero() {
	clear(k.inner)
	clear(k.outer)
}

// hasher computes HMACs for one worker. The zero value is ready to use.
type hasher struct {
	hashes [HMACSHA512_256 + 1]resumable
	buf    [sha512.Size]byte
}

// sum returns the HMAC of data, untruncated, valid until the next call.
func (m *hasher) sum(k *macKey, data []byte) []byte {
	h := m.hashes[k.auth]
	if h == nil {
		h = newHash(k.auth)
		m.hashes[k.auth] = h
	}
	// The states came from this hash and were restored once by newMACKey.
	_ = h.UnmarshalBinary(k.inner)
	h.Write(data)
	inner := h.Sum(m.buf[:0])
	_ = h.UnmarshalBinary(k.outer)
	h.Write(inner)
	return h.Sum(m.buf[:0])
}
