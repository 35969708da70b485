package lanes

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"fmt"
	"hash"
	"strconv"
)

// Hash is the hash function of an HMAC.
type Hash uint8

// The hash functions (FIPS 180-4).
const (
	SHA1 Hash = iota + 1
	SHA256
	SHA384
	SHA512

	hashes = iota + 1
)

// String names the hash.
func (h Hash) String() string {
	switch h {
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA2-256"
	case SHA384:
		return "SHA2-384"
	case SHA512:
		return "SHA2-512"
	default:
		return "Hash(" + strconv.Itoa(int(h)) + ")"
	}
}

// resumable is a hash whose state can be set: every one of the standard
// library can.
type resumable interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func (h Hash) new() resumable {
	var f hash.Hash
	switch h {
	case SHA1:
		f = sha1.New()
	case SHA256:
		f = sha256.New()
	case SHA384:
		f = sha512.New384()
	case SHA512:
		f = sha512.New()
	}
	r, _ := f.(resumable)
	return r
}

// state is what a hash is after one block, the inner or the outer pad: its
// words, from the first byte to the last. SHA1 has 20 bytes of it, SHA256 has 32.
type state [64]byte

// MACKey is an HMAC key (RFC 2104), as the states of the hash after its inner
// and its outer pad. It is immutable and may be shared, until Zero.
type MACKey struct {
	hash         Hash
	inner, outer state // one behind the other, for the kernel that seals
}

// NewMACKey makes an HMAC key of any length. It keeps no reference to it. An
// unknown hash is an error.
func NewMACKey(h Hash, key []byte) (*MACKey, error) {
	f := h.new()
	if f == nil {
		return nil, fmt.Errorf("lanes: no hash %v", h)
	}
	if len(key) > f.BlockSize() { // RFC 2104, section 2
		f.Write(key)
		key = f.Sum(nil)
		defer clear(key)
	}
	k := &MACKey{hash: h}
	if err := k.inner.set(f, key, 0x36); err != nil {
		return nil, err
	}
	return k, k.outer.set(f, key, 0x5c)
}

func (s *state) set(f resumable, key []byte, pad byte) error {
	block := make([]byte, f.BlockSize())
	defer clear(block)
	copy(block, key)
	for i := range block {
		block[i] ^= pad
	}
	f.Reset()
	f.Write(block)
	saved, err := f.AppendBinary(nil)
	if err != nil {
		return err
	}
	defer clear(saved)
	copy(s[:], stateOf(saved, len(block)))
	return nil
}

// stateOf is the state in what the standard library saves of a hash: in front
// of it is a magic number of four bytes, and behind it are the bytes that wait
// for a block to be whole, with room for all of it, and eight of the length.
func stateOf(saved []byte, block int) []byte { return saved[4 : len(saved)-block-8] }

// Zero overwrites the key. It must not be in use, and is useless afterwards.
func (k *MACKey) Zero() { k.inner, k.outer = state{}, state{} }
