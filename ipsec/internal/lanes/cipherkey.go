package lanes

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"sync/atomic"
)

// Use is what a CipherKey is for.
type Use uint8

// The uses of a key. An SA has one of them.
const (
	Encrypt Use = 1 << iota
	Decrypt
)

// CipherKey is an AES key, expanded for its use and for every tier that this CPU has. It is
// immutable and may be shared, until Zero.
type CipherKey struct {
	size int
	key  [32]byte
	schedules
	block atomic.Pointer[cipher.Block] // what Generic uses; made on demand where it is not the best
}

// NewCipherKey expands a key of 16, 24 or 32 bytes for its use, which may be both. It keeps
// no reference to it. Another length is an error.
func NewCipherKey(key []byte, use Use) (*CipherKey, error) {
	switch len(key) {
	case 16, 24, 32:
	default:
		return nil, fmt.Errorf("lanes: AES has no keys of %d bytes", len(key))
	}
	k := &CipherKey{size: len(key)}
	copy(k.key[:], key)
	k.expand(key, use)
	if Best() == Generic {
		k.generic()
	}
	return k, nil
}

// Zero overwrites the key and its schedules. The key must not be in use, and is
// useless afterwards. What crypto/aes made of it, in the Generic tier, cannot
// be overwritten, only forgotten.
func (k *CipherKey) Zero() {
	clear(k.key[:])
	k.wipe()
	k.block.Store(nil)
}

// generic returns the standard library's form of the key. An Engine that is
// below the best tier makes it when it first needs it.
func (k *CipherKey) generic() cipher.Block {
	if b := k.block.Load(); b != nil {
		return *b
	}
	b, err := aes.NewCipher(k.key[:k.size])
	if err != nil {
		return nil // no other sizes are made
	}
	k.block.Store(&b)
	return b
}
