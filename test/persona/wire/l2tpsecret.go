package wire

import (
	"crypto/md5" //nolint:gosec // RFC 2661 is MD5
	"slices"
)

// hideable are the attributes whose H bit may be set (RFC 2661, section 4.4).
var hideable = []uint16{3, 4, 6, 8, 9, 11, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 37, 38}

// Hide hides those of a message's AVPs that may be hidden, after a Random Vector (RFC
// 2661, section 4.3), with this many bytes of padding.
func Hide(secret string, vector []byte, padding int, avps []AVP) []AVP {
	list := []AVP{M(36, vector...)}
	for _, a := range avps {
		if a.Vendor == 0 && slices.Contains(hideable, a.Type) {
			a.Hidden = true
			a.Value = hide(secret, vector, a.Type, a.Value, padding)
		}
		list = append(list, a)
	}
	return list
}

// hide makes "a subformat of length, value and padding", and XORs each of its blocks of
// 16 bytes with an MD5 of the secret and what precedes it.
func hide(secret string, vector []byte, kind uint16, value []byte, padding int) []byte {
	plain := append(append(U16(uint16(len(value))), value...), make([]byte, padding)...)
	cipher := make([]byte, 0, len(plain))
	key := md5.Sum(slices.Concat(U16(kind), []byte(secret), vector)) //nolint:gosec // as above
	for len(plain) > 0 {
		n := min(16, len(plain))
		block := make([]byte, n)
		for i := range n {
			block[i] = plain[i] ^ key[i]
		}
		cipher, plain = append(cipher, block...), plain[n:]
		key = md5.Sum(append([]byte(secret), block...)) //nolint:gosec // as above
	}
	return cipher
}

// ChallengeResponse answers a Challenge in a message of this type (RFC 2661, section
// 4.4.3).
func ChallengeResponse(message int, secret string, challenge []byte) []byte {
	sum := md5.Sum(slices.Concat([]byte{byte(message)}, []byte(secret), challenge)) //nolint:gosec // as above
	return sum[:]
}
