package auth

import (
	"crypto/sha1" //nolint:gosec // RFC 2759 is SHA-1
	"encoding/hex"
	"strings"

	"layeh.com/radius/rfc2759"
)

// The constants of RFC 2759, section 8.7.
const (
	serverSigning = "Magic server to client signing constant"
	padIteration  = "Pad to make it do more than one iteration"
)

// authenticatorResponse is GenerateAuthenticatorResponse of RFC 2759, section
// 8.7, from the password's NT hash, so that users stored as a hash work too.
func authenticatorResponse(challenge, ntResponse, ntHash []byte) string {
	h := sha1.New() //nolint:gosec // RFC 2759 is SHA-1
	h.Write(rfc2759.NTPasswordHash(ntHash))
	h.Write(ntResponse)
	h.Write([]byte(serverSigning))
	digest := h.Sum(nil)

	h.Reset()
	h.Write(digest)
	h.Write(challenge)
	h.Write([]byte(padIteration))
	return "S=" + strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
}

// NTHash is the MD4 of password in UTF-16LE (RFC 2759, section 8.3).
func NTHash(password []byte) ([]byte, error) {
	ucs2, err := rfc2759.ToUTF16(password)
	if err != nil {
		return nil, err
	}
	return rfc2759.NTPasswordHash(ucs2), nil
}
