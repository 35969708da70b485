package wire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // clients offer it
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // clients offer it
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
)

// Suite is what phase 1 agreed on, as numbers of RFC 2409 appendix A.
type Suite struct{ Encryption, KeyLength, Hash, Auth, Group int }

// ParseSuite reads a phase 1 transform's attributes.
func ParseSuite(attributes []byte) (Suite, error) {
	a, err := Attributes(attributes)
	if err != nil {
		return Suite{}, err
	}
	s := Suite{Encryption: int(a[1]), KeyLength: int(a[14]), Hash: int(a[2]), Auth: int(a[3]), Group: int(a[4])}
	if s.hash() == nil {
		return s, fmt.Errorf("hash %d is unknown", s.Hash)
	}
	return s, nil
}

func (s Suite) hash() func() hash.Hash {
	return map[int]func() hash.Hash{1: md5.New, 2: sha1.New, 4: sha256.New, 5: sha512.New384, 6: sha512.New}[s.Hash]
}

func (s Suite) block(key []byte) (cipher.Block, error) {
	switch s.Encryption {
	case 5:
		return des.NewTripleDESCipher(key) //nolint:gosec // see above
	case 7:
		return aes.NewCipher(key)
	}
	return nil, fmt.Errorf("encryption %d is unknown", s.Encryption)
}

// Sum hashes the joined parts.
func (s Suite) Sum(parts ...[]byte) []byte {
	h := s.hash()()
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

// PRF is the keyed form of the negotiated hash.
func (s Suite) PRF(key []byte, parts ...[]byte) []byte {
	h := hmac.New(s.hash(), key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

// Keys are the keys of one phase 1 (RFC 2409 section 5).
type Keys struct {
	Suite
	Root, D, A []byte // SKEYID, SKEYID_d, SKEYID_a
	block      cipher.Block

	// AlwaysPad: a message that fills its last block gets another block.
	AlwaysPad bool
}

// DeriveKeys derives them from SKEYID.
func DeriveKeys(s Suite, skeyid, shared, ci, cr []byte) (*Keys, error) {
	k := &Keys{Suite: s, Root: skeyid}
	k.D = s.PRF(skeyid, shared, ci, cr, []byte{0})
	k.A = s.PRF(skeyid, k.D, shared, ci, cr, []byte{1})
	e := s.PRF(skeyid, k.A, shared, ci, cr, []byte{2})
	size := 24
	if s.Encryption == 7 {
		size = s.KeyLength / 8
	}
	// Appendix B: Ka = K1 | K2 | K3 where SKEYID_e is too short.
	if len(e) < size {
		var ka []byte
		for last := []byte{0}; len(ka) < size; {
			last = s.PRF(e, last)
			ka = append(ka, last...)
		}
		e = ka
	}
	var err error
	k.block, err = s.block(e[:size])
	return k, err
}

// BlockSize is the cipher's.
func (k *Keys) BlockSize() int { return k.block.BlockSize() }

// FirstIV is the initialisation vector of message 5.
func (k *Keys) FirstIV(gxi, gxr []byte) []byte {
	return k.Sum(gxi, gxr)[:k.BlockSize()]
}

// Encrypt pads with zeros and encrypts. It also returns the last block, the
// initialisation vector of the next message.
func (k *Keys) Encrypt(iv, plain []byte) (b, next []byte) {
	n := k.BlockSize()
	b = append([]byte(nil), plain...)
	if k.AlwaysPad {
		b = append(b, 0)
	}
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	cipher.NewCBCEncrypter(k.block, iv).CryptBlocks(b, b)
	return b, append([]byte(nil), b[len(b)-n:]...)
}

// Decrypt is the reverse of Encrypt.
func (k *Keys) Decrypt(iv, b []byte) (plain, next []byte, err error) {
	n := k.BlockSize()
	if len(b) == 0 || len(b)%n != 0 {
		return nil, nil, errors.New("not a whole number of blocks")
	}
	plain = make([]byte, len(b))
	cipher.NewCBCDecrypter(k.block, iv).CryptBlocks(plain, b)
	return plain, append([]byte(nil), b[len(b)-n:]...), nil
}

// Keymat is the key material of one direction's SA (RFC 2409 section 5.5).
// Shared is g(qm)^xy, empty without perfect forward secrecy.
func (k *Keys) Keymat(n int, shared, spi, ni, nr []byte) []byte {
	var all, last []byte
	for len(all) < n {
		last = k.PRF(k.D, last, shared, []byte{3}, spi, ni, nr)
		all = append(all, last...)
	}
	return all[:n]
}
