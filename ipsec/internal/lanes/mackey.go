package lanes

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
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

// state is what a hash is after one block: the inner or the outer pad.
type state struct {
	words [8]uint64 // for the kernels: SHA1 has five, and its and SHA256's have 32 bits
	saved []byte    // what the standard library makes of them
}

// MACKey is an HMAC key (RFC 2104), as the states of the hash after its inner
// and its outer pad. It is immutable and may be shared, until Zero.
type MACKey struct {
	hash         Hash
	inner, outer state
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
	var err error
	if k.inner, err = newState(f, h, key, 0x36); err != nil {
		return nil, err
	}
	k.outer, err = newState(f, h, key, 0x5c)
	return k, err
}

func newState(f resumable, h Hash, key []byte, pad byte) (state, error) {
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
		return state{}, err
	}
	// It is a magic number of four bytes, the words, and what waits for a
	// block to be whole, which is nothing here.
	s, words := state{saved: saved}, saved[4:]
	for i := range s.words {
		switch h {
		case SHA1:
			if i < 5 {
				s.words[i] = uint64(binary.BigEndian.Uint32(words[4*i:]))
			}
		case SHA256:
			s.words[i] = uint64(binary.BigEndian.Uint32(words[4*i:]))
		default:
			s.words[i] = binary.BigEndian.Uint64(words[8*i:])
		}
	}
	return s, f.UnmarshalBinary(saved) // so that it cannot fail later
}

// Zero overwrites the key. It must not be in use, and is useless afterwards.
func (k *MACKey) Zero() {
	for _, s := range []*state{&k.inner, &k.outer} {
		clear(s.words[:])
		clear(s.saved)
	}
}
