package ipsec

import (
	"crypto/aes"
	"crypto/cipher"
	"io"
)

const (
	ivSeedLen = 32 + aes.BlockSize // a key and the first counter

	// ivsPerSeed is how many blocks of key stream are used before there is a
	// new key.
	ivsPerSeed = 1 << 20
)

// ivSource makes IVs that nobody can predict (RFC 3602, section 3): the key
// stream of AES-256 in counter mode, under a key that is read from rand and used
// for nothing else. That costs a tenth of asking the system for each batch.
type ivSource struct {
	rand   io.Reader
	stream cipher.Stream
	left   int // blocks until the next seed
	buf    []byte
}

// draw returns n bytes, valid until the next call.
func (s *ivSource) draw(n int) ([]byte, error) {
	blocks := (n + aes.BlockSize - 1) / aes.BlockSize
	if s.left < blocks {
		if err := s.seed(); err != nil {
			return nil, err
		}
	}
	s.left -= blocks
	if len(s.buf) < n {
		s.buf = make([]byte, n)
	}
	clear(s.buf[:n])
	s.stream.XORKeyStream(s.buf[:n], s.buf[:n])
	return s.buf[:n], nil
}

func (s *ivSource) seed() error {
	var seed [ivSeedLen]byte
	defer clear(seed[:])
	if _, err := io.ReadFull(s.rand, seed[:]); err != nil {
		return err
	}
	block, err := aes.NewCipher(seed[:32])
	if err != nil {
		return err
	}
	s.stream, s.left = cipher.NewCTR(block, seed[32:]), ivsPerSeed
	return nil
}
