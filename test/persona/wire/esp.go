package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // clients offer it
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // clients offer it
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// ESPSuite is what Quick Mode agreed on, as numbers of RFC 2407 and RFC 4106 (Transform
// 18 to 20: AES-GCM with an ICV of 8, 12 and 16 bytes).
type ESPSuite struct {
	Transform, KeyLength, Auth int

	// Truncate is the length of the ICV in bytes, 0 for the standard length.
	Truncate int
}

// KeySizes returns the lengths of the cipher key (including AES-GCM's salt) and of the
// authentication key, in bytes.
func (s ESPSuite) KeySizes() (enc, auth int) {
	switch s.Transform {
	case 3:
		enc = 24
	case 12:
		enc = s.KeyLength / 8
	default:
		return s.KeyLength/8 + 4, 0
	}
	return enc, map[int]int{1: 16, 2: 20, 5: 32, 6: 48, 7: 64}[s.Auth]
}

func (s ESPSuite) mac(key []byte) (hash.Hash, int) {
	h := map[int]struct {
		f func() hash.Hash
		n int
	}{1: {md5.New, 12}, 2: {sha1.New, 12}, 5: {sha256.New, 16}, 6: {sha512.New384, 24}, 7: {sha512.New, 32}}[s.Auth]
	if s.Truncate != 0 {
		h.n = s.Truncate
	}
	return hmac.New(h.f, key), h.n
}

// ESP is one direction's SA (RFC 4303).
type ESP struct {
	SPI  uint32
	Seq  uint32 // of the last packet that was sealed
	Used int    // bytes of payload

	suite     ESPSuite
	enc, auth []byte
}

// NewESP makes an SA from its key material.
func NewESP(spi uint32, s ESPSuite, keymat []byte) *ESP {
	n, _ := s.KeySizes()
	return &ESP{SPI: spi, suite: s, enc: keymat[:n], auth: keymat[n:]}
}

func (e *ESP) block() (cipher.Block, error) {
	switch e.suite.Transform {
	case 3:
		return des.NewTripleDESCipher(e.enc) //nolint:gosec // see above
	case 12:
		return aes.NewCipher(e.enc)
	}
	return nil, fmt.Errorf("ESP transform %d is unknown", e.suite.Transform)
}

// Seal encapsulates a payload with the next sequence number.
func (e *ESP) Seal(payload []byte, next byte) ([]byte, error) {
	e.Seq++
	e.Used += len(payload)
	b := binary.BigEndian.AppendUint32(nil, e.SPI)
	b = binary.BigEndian.AppendUint32(b, e.Seq)
	if e.gcm() {
		return e.sealGCM(b, payload, next)
	}
	block, err := e.block()
	if err != nil {
		return nil, err
	}
	n := block.BlockSize()
	iv := make([]byte, n)
	_, _ = rand.Read(iv)
	plain := trailer(payload, n, next)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	b = append(append(b, iv...), plain...)
	mac, size := e.suite.mac(e.auth)
	mac.Write(b)
	return append(b, mac.Sum(nil)[:size]...), nil
}

// trailer pads with 1, 2, 3… to a whole number of blocks.
func trailer(payload []byte, n int, next byte) []byte {
	plain := append([]byte(nil), payload...)
	pad := byte(0)
	for (len(plain)+2)%n != 0 {
		pad++
		plain = append(plain, pad)
	}
	return append(plain, pad, next)
}

var errICV = errors.New("the ICV is wrong")

// Open checks and decrypts a packet.
func (e *ESP) Open(b []byte) (seq uint32, payload []byte, next byte, err error) {
	if len(b) < 8 {
		return 0, nil, 0, errICV
	}
	seq = binary.BigEndian.Uint32(b[4:])
	var plain []byte
	if e.gcm() {
		plain, err = e.openGCM(b)
	} else {
		plain, err = e.openCBC(b)
	}
	if err != nil {
		return 0, nil, 0, err
	}
	if len(plain) < 2 || len(plain) < 2+int(plain[len(plain)-2]) {
		return 0, nil, 0, errors.New("the ESP padding is longer than the packet")
	}
	pad, next := int(plain[len(plain)-2]), plain[len(plain)-1]
	payload, padding := plain[:len(plain)-2-pad], plain[len(plain)-2-pad:len(plain)-2]
	for i, p := range padding {
		if p != byte(i+1) {
			return 0, nil, 0, errors.New("the ESP padding is not 1, 2, 3… (RFC 4303 section 2.4)")
		}
	}
	return seq, payload, next, nil
}

func (e *ESP) openCBC(b []byte) ([]byte, error) {
	block, err := e.block()
	if err != nil {
		return nil, err
	}
	mac, size := e.suite.mac(e.auth)
	n := block.BlockSize()
	if len(b) < 8+2*n+size || (len(b)-8-size)%n != 0 {
		return nil, errICV
	}
	end := len(b) - size
	mac.Write(b[:end])
	if !hmac.Equal(mac.Sum(nil)[:size], b[end:]) {
		return nil, errICV
	}
	plain := append([]byte(nil), b[8+n:end]...)
	cipher.NewCBCDecrypter(block, b[8:8+n]).CryptBlocks(plain, plain)
	return plain, nil
}

func (e *ESP) gcm() bool { return e.suite.Transform >= 18 && e.suite.Transform <= 20 }

func (e *ESP) aead() (cipher.AEAD, []byte, error) {
	n := len(e.enc) - 4
	block, err := aes.NewCipher(e.enc[:n])
	if err != nil {
		return nil, nil, err
	}
	if e.suite.Transform != 20 {
		return nil, nil, errors.New("only AES-GCM with 16 bytes of ICV is known")
	}
	a, err := cipher.NewGCM(block)
	return a, e.enc[n:], err
}

func (e *ESP) sealGCM(header, payload []byte, next byte) ([]byte, error) {
	a, salt, err := e.aead()
	if err != nil {
		return nil, err
	}
	iv := make([]byte, 8)
	binary.BigEndian.PutUint64(iv, uint64(e.Seq))
	nonce := append(append([]byte(nil), salt...), iv...)
	sealed := a.Seal(nil, nonce, trailer(payload, 4, next), header)
	return append(append(append([]byte(nil), header...), iv...), sealed...), nil
}

func (e *ESP) openGCM(b []byte) ([]byte, error) {
	a, salt, err := e.aead()
	if err != nil {
		return nil, err
	}
	if len(b) < 16 {
		return nil, errICV
	}
	nonce := append(append([]byte(nil), salt...), b[8:16]...)
	return a.Open(nil, nonce, b[16:], b[:8])
}
