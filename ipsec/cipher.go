package ipsec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"encoding/binary"
)

// cbcEncrypter is a CBC mode that can be given a new IV: every encrypter of
// crypto/cipher can.
type cbcEncrypter interface {
	cipher.BlockMode
	SetIV([]byte)
}

func newBlock(s Suite, key []byte) (cipher.Block, error) {
	if s.Cipher == TripleDESCBC {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
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

// decryptCBC decrypts a CBC chain in place: b is the IV and whole blocks. It
// works from the end, so that each block's predecessor is still ciphertext,
// and keeps no state: several workers may use one block at a time.
func decryptCBC(block cipher.Block, b []byte) {
	if block.BlockSize() == aes.BlockSize {
		for i := len(b) - aes.BlockSize; i > 0; i -= aes.BlockSize {
			p := b[i-aes.BlockSize : i+aes.BlockSize : i+aes.BlockSize]
			block.Decrypt(p[16:], p[16:])
			xor8(p[16:], p)
			xor8(p[24:], p[8:])
		}
		return
	}
	for i := len(b) - des.BlockSize; i > 0; i -= des.BlockSize {
		p := b[i-des.BlockSize : i+des.BlockSize : i+des.BlockSize]
		block.Decrypt(p[8:], p[8:])
		xor8(p[8:], p)
	}
}

func xor8(dst, src []byte) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)^binary.LittleEndian.Uint64(src))
}
