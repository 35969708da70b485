package ike

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/secret"
)

// make returns the hash's constructor.
func (h Hash) make() func() hash.Hash {
	switch h {
	case HashMD5:
		return md5.New
	case HashSHA1:
		return sha1.New
	case HashSHA256:
		return sha256.New
	case HashSHA384:
		return sha512.New384
	case HashSHA512:
		return sha512.New
	default:
		return nil
	}
}

// sum hashes the concatenation of parts.
func (h Hash) sum(parts ...[]byte) []byte {
	d := h.make()()
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// len is the length of the hash in bytes.
func (h Hash) len() int { return h.make()().Size() }

// prf is the HMAC of the negotiated hash, which is used as PRF if none is
// negotiated (RFC 2409, section 4).
func (h Hash) prf(key []byte, parts ...[]byte) []byte {
	d := hmac.New(h.make(), key)
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// keys are the keys that phase 1 yields (RFC 2409, section 5).
type keys struct {
	SKEYID secret.Bytes
	D      secret.Bytes // SKEYID_d, from which children's keys are made
	A      secret.Bytes // SKEYID_a, which authenticates messages
	Cipher secret.Bytes // made of SKEYID_e
}

func (k keys) zero() {
	k.SKEYID.Zero()
	k.D.Zero()
	k.A.Zero()
	k.Cipher.Zero()
}

// deriveKeys makes the keys of phase 1 with a pre-shared key.
func deriveKeys(s Suite, psk, ni, nr, shared []byte, c Cookies) keys {
	return expandKeys(s, s.Hash.prf(psk, ni, nr), shared, c)
}

// expandKeys makes the keys of phase 1 from SKEYID, which it erases.
func expandKeys(s Suite, skeyid, shared []byte, c Cookies) keys {
	ckyI, ckyR := c.Initiator[:], c.Responder[:]
	d := s.Hash.prf(skeyid, shared, ckyI, ckyR, []byte{0})
	a := s.Hash.prf(skeyid, d, shared, ckyI, ckyR, []byte{1})
	e := s.Hash.prf(skeyid, a, shared, ckyI, ckyR, []byte{2})
	k := keys{
		SKEYID: secret.New(skeyid),
		D:      secret.New(d),
		A:      secret.New(a),
		Cipher: secret.New(cipherKey(s.Hash, e, s.keyLen())),
	}
	for _, b := range [][]byte{skeyid, d, a, e} {
		clear(b)
	}
	return k
}

// cipherKey takes n bytes of SKEYID_e. If that is too short, it is expanded by
// feeding the PRF into itself (RFC 2409, appendix B).
func cipherKey(h Hash, e []byte, n int) []byte {
	if len(e) >= n {
		return e[:n]
	}
	var key []byte
	for k := []byte{0}; len(key) < n; key = append(key, k...) {
		k = h.prf(e, k)
	}
	return key[:n]
}

func (s Suite) keyLen() int {
	if s.Cipher == Cipher3DES {
		return 24
	}
	return s.KeyBits / 8
}

// block returns the suite's block cipher under key.
func (s Suite) block(key secret.Bytes) (cipher.Block, error) {
	switch s.Cipher {
	case CipherAES:
		return aes.NewCipher(key.Reveal())
	case Cipher3DES:
		return des.NewTripleDESCipher(key.Reveal())
	default:
		return nil, fmt.Errorf("%w: %v", ErrUnexpected, s.Cipher)
	}
}

func (s Suite) blockLen() int {
	if s.Cipher == Cipher3DES {
		return des.BlockSize
	}
	return aes.BlockSize
}

// encrypt pads plain with zeros and encrypts it. The next IV of the chain is
// the last block.
func (s Suite) encrypt(key secret.Bytes, iv, plain []byte) (text, next []byte, err error) {
	block, err := s.block(key)
	if err != nil {
		return nil, nil, err
	}
	n := s.blockLen()
	text = append(plain, make([]byte, (n-len(plain)%n)%n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return text, text[len(text)-n:], nil
}

// decrypt does not change text.
func (s Suite) decrypt(key secret.Bytes, iv, text []byte) (plain, next []byte, err error) {
	block, err := s.block(key)
	if err != nil {
		return nil, nil, err
	}
	n := s.blockLen()
	if len(text) == 0 || len(text)%n != 0 {
		return nil, nil, fmt.Errorf("%w: %d bytes are not a whole number of blocks", ErrMalformed, len(text))
	}
	plain = make([]byte, len(text))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, text)
	return plain, append([]byte(nil), text[len(text)-n:]...), nil
}

// iv1 is the first IV of phase 1; iv2 is the first IV of an exchange under phase 1
// (RFC 2409, appendix B).
func (s Suite) iv1(gxi, gxr []byte) []byte {
	return s.Hash.sum(gxi, gxr)[:s.blockLen()]
}

func (s Suite) iv2(last []byte, messageID uint32) []byte {
	return s.Hash.sum(last, binary.BigEndian.AppendUint32(nil, messageID))[:s.blockLen()]
}

// childKeys makes one direction's keys: KEYMAT for the SPI that the receiving end
// chose (RFC 2409, section 5.5). shared is empty without PFS.
func childKeys(h Hash, d secret.Bytes, s ESPSuite, shared []byte, spi uint32, ni, nr []byte) ChildKeys {
	enc, auth := s.keyLens()
	seed := append([]byte(nil), shared...)
	seed = append(seed, byte(isakmp.ProtocolESP))
	seed = binary.BigEndian.AppendUint32(seed, spi)
	seed = append(append(seed, ni...), nr...)
	var mat, k []byte
	for len(mat) < enc+auth {
		k = h.prf(d.Reveal(), k, seed)
		mat = append(mat, k...)
	}
	// RFC 2401, section 4.6.2: the encryption key is taken from the first bits
	// and the authentication key from the remaining ones.
	keys := ChildKeys{Enc: secret.New(mat[:enc]), Auth: secret.New(mat[enc : enc+auth])}
	clear(mat)
	clear(k)
	clear(seed)
	return keys
}
