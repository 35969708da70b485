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

	// ivStock is how many bytes of IVs are made at a time, at least: what makes
	// them has left the caches of a server that has little to do.
	ivStock = 64 * aes.BlockSize
)

// ivSource makes IVs that nobody can predict (RFC 3602, section 3): the key
// stream of AES-256 in counter mode, under a key that is read from rand and used
// for nothing else. That costs a tenth of asking the system for each batch.
type ivSource struct {
	rand   io.Reader
	stream cipher.Stream
	left   int // blocks until the next seed
	room   []byte
	stock  []byte // what is left in room
}

// draw returns n bytes, valid until the next call.
func (s *ivSource) draw(n int) ([]byte, error) {
	if len(s.stock) < n {
		if err := s.fill(max(n, ivStock)); err != nil {
			return nil, err
		}
	}
	ivs := s.stock[:n]
	s.stock = s.stock[n:]
	return ivs, nil
}

func (s *ivSource) fill(n int) error {
	blocks := (n + aes.BlockSize - 1) / aes.BlockSize
	if s.left < blocks {
		if err := s.seed(); err != nil {
			return err
		}
	}
	s.left -= blocks
	if len(s.room) < n {
		s.room = make([]byte, n)
	}
	s.stock = s.room[:n]
	clear(s.stock)
	s.stream.XORKeyStream(s.stock, s.stock)
	return nil
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
