package wire

import (
	"crypto/des" //nolint:gosec // RFC 2759 is made of it
	"crypto/rc4" //nolint:gosec // likewise
	"encoding/binary"
	"unicode/utf16"
)

// ntHash is the hash of a password, and the password as it is hashed.
func ntHash(password string) (hash [16]byte, text []byte) {
	for _, u := range utf16.Encode([]rune(password)) {
		text = append(text, byte(u), byte(u>>8))
	}
	return MD4(text), text
}

// ChangePassword is the new password, encrypted with the hash of the old one, and the hash of
// the old one, encrypted with that of the new one (RFC 2759, sections 8.9 and 8.12). noise is 516
// random bytes.
func ChangePassword(old, new string, noise []byte) (password, hash []byte) {
	oldHash, _ := ntHash(old)
	newHash, text := ntHash(new)
	copy(noise[512-len(text):512], text)
	binary.LittleEndian.PutUint32(noise[512:], uint32(len(text)))
	c, _ := rc4.NewCipher(oldHash[:]) //nolint:gosec // see above
	password = make([]byte, 516)
	c.XORKeyStream(password, noise)
	hash = make([]byte, 16)
	for i := range 2 {
		d, _ := des.NewCipher(spread(newHash[7*i : 7*i+7])) //nolint:gosec // see above
		d.Encrypt(hash[8*i:], oldHash[8*i:8*i+8])
	}
	return password, hash
}
