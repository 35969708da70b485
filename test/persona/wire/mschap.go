package wire

import (
	"crypto/des" //nolint:gosec // RFC 2759 is made of it
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// MSCHAPv2 is the state of one MS-CHAPv2 exchange (RFC 2759) at the peer.
type MSCHAPv2 struct {
	Response [24]byte
	expect   string // the authenticator's proof
}

// NewMSCHAPv2 answers a challenge. The user's name is hashed without the
// domain before a backslash (RFC 2759 section 4).
func NewMSCHAPv2(user, password string, challenge, peer [16]byte) MSCHAPv2 {
	if _, name, ok := strings.Cut(user, `\`); ok {
		user = name
	}
	h := sha1.New()
	h.Write(peer[:])
	h.Write(challenge[:])
	h.Write([]byte(user))
	short := h.Sum(nil)[:8]

	var unicode []byte
	for _, u := range utf16.Encode([]rune(password)) {
		unicode = append(unicode, byte(u), byte(u>>8))
	}
	nt := MD4(unicode)
	var key [21]byte
	copy(key[:], nt[:])
	var m MSCHAPv2
	for i := range 3 {
		c, _ := des.NewCipher(spread(key[7*i : 7*i+7])) //nolint:gosec // see above
		c.Encrypt(m.Response[8*i:], short)
	}

	twice := MD4(nt[:])
	h = sha1.New()
	h.Write(twice[:])
	h.Write(m.Response[:])
	h.Write([]byte("Magic server to client signing constant"))
	digest := h.Sum(nil)
	h = sha1.New()
	h.Write(digest)
	h.Write(short)
	h.Write([]byte("Pad to make it do more than one iteration"))
	m.expect = "S=" + strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
	return m
}

// Proof is what the authenticator's Success begins with.
func (m MSCHAPv2) Proof() string { return m.expect }

// Proves reports whether the message of a Success packet proves that the authenticator
// knows the password. Hexadecimal digits are upper case (RFC 2759 section 5).
func (m MSCHAPv2) Proves(message string) bool {
	return message == m.expect || strings.HasPrefix(message, m.expect+" ")
}

// spread makes a DES key from 56 bits. Nothing checks its parity.
func spread(b []byte) []byte {
	var bits uint64
	for _, x := range b {
		bits = bits<<8 | uint64(x)
	}
	k := make([]byte, 8)
	for i := range k {
		k[i] = byte(bits>>(49-7*i)) << 1
	}
	return k
}
