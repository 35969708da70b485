package ipsec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"encoding/binary"
	"fmt"

	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// expanded is what an SA's keys became: one cipher, and a hash where the cipher
// is CBC. It holds no scratch space; Sealer and Opener bring that.
type expanded struct {
	aes  *lanes.CipherKey
	des  cipher.Block
	aead cipher.AEAD
	salt [saltLen]byte
	mac  *lanes.MACKey
}

// expand makes the keys of a suite that check has accepted with it, for one direction.
func expand(s Suite, k Keys, use lanes.Use) (expanded, error) {
	var e expanded
	var err error
	switch enc := k.Enc.Reveal(); s.Cipher {
	case AESGCM16:
		e.aead, e.salt, err = newGCM(enc)
		return e, err
	case TripleDESCBC:
		e.des, err = des.NewTripleDESCipher(enc)
	default:
		e.aes, err = lanes.NewCipherKey(enc, use)
	}
	if err != nil {
		return expanded{}, err
	}
	h, err := s.Auth.hash()
	if err != nil {
		return expanded{}, err
	}
	e.mac, err = lanes.NewMACKey(h, k.Auth.Reveal())
	return e, err
}

func (a Auth) hash() (lanes.Hash, error) {
	switch a {
	case HMACSHA1_96:
		return lanes.SHA1, nil
	case HMACSHA256_128:
		return lanes.SHA256, nil
	case HMACSHA384_192:
		return lanes.SHA384, nil
	case HMACSHA512_256:
		return lanes.SHA512, nil
	default:
		return 0, fmt.Errorf("%w: %v has no hash", ErrSuite, a)
	}
}

// newGCM returns the AEAD and the salt of an AES-GCM key (RFC 4106, section
// 8.1: the salt is the last four bytes of the keying material).
func newGCM(key []byte) (cipher.AEAD, [saltLen]byte, error) {
	n := len(key) - saltLen
	block, err := aes.NewCipher(key[:n])
	if err != nil {
		return nil, [saltLen]byte{}, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, [saltLen]byte(key[n:]), err
}

// zero overwrites what can be, and forgets the rest: the schedules of
// crypto/aes and crypto/des cannot be overwritten.
func (e *expanded) zero() {
	if e.aes != nil {
		e.aes.Zero()
	}
	if e.mac != nil {
		e.mac.Zero()
	}
	*e = expanded{}
}

// encryptDES encrypts a CBC chain of 3DES in place: b is the IV and whole
// blocks.
func encryptDES(block cipher.Block, b []byte) {
	for ; len(b) >= 2*des.BlockSize; b = b[des.BlockSize:] {
		next := b[des.BlockSize : 2*des.BlockSize]
		xor8(next, b)
		block.Encrypt(next, next)
	}
}

// decryptDES decrypts one. It works from the end, so that each block's
// predecessor is still ciphertext.
func decryptDES(block cipher.Block, b []byte) {
	for i := len(b) - des.BlockSize; i > 0; i -= des.BlockSize {
		p := b[i-des.BlockSize : i+des.BlockSize : i+des.BlockSize]
		block.Decrypt(p[8:], p[8:])
		xor8(p[8:], p)
	}
}

func xor8(dst, src []byte) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)^binary.LittleEndian.Uint64(src))
}
