package auth

import (
	"crypto/rc4" //nolint:gosec // RFC 2759, section 8.9
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf16"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// PasswordChange is what a Change-Password packet of MS-CHAPv2 has of the passwords (RFC 2759,
// section 7).
type PasswordChange struct {
	Password [516]byte // the new one, encrypted with the hash of the old one
	Hash     [16]byte  // of the old one, encrypted with that of the new one
}

// Failure codes (RFC 2759, section 6).
const (
	codePasswordExpired = 648
	codeChangingFailed  = 709
)

// expired is the verdict on a user who has to change the password first, and can by MS-CHAPv2
// alone.
func expired(u User, m Method) Response {
	r := Response{Verdict: PasswordExpired, Code: codePasswordExpired, Detail: fmt.Sprintf("user %q has to change the password", u.Name)}
	if m != MSCHAPv2 {
		r.Detail += ", which " + m.String() + " cannot"
	}
	return r
}

// change gives a user another password.
func (l *Local) change(r *Request, u User) Response {
	failed := func(why string) Response {
		return Response{Verdict: BadCredentials, Code: codeChangingFailed, Detail: "the password is not changed: " + why}
	}
	if !u.MustChange || u.TOTP.Len() > 0 {
		return failed("the user has not been asked to")
	}
	old := u.hash()
	password, hash, ok := r.Change.open(old)
	if !ok {
		return failed("the new password cannot be opened with the old one")
	}
	named := u
	named.Password, named.NTHash = secret.Bytes{}, secret.New(hash)
	success, ok := verifyMSCHAPv2(r, named)
	switch {
	case !ok:
		return failed("the client's answer is not made with the new password")
	case subtle.ConstantTimeCompare(old, hash) == 1:
		return failed("the new password is the old one")
	case l.Changed == nil:
		return failed("nobody keeps it")
	}
	defer l.Hold()()
	if err := l.Changed(u.Name, password); err != nil {
		return failed(err.Error())
	}
	l.renew(u.Name, password, hash)
	return Response{Verdict: Accepted, Success: success, Detail: "the user has changed the password", Grant: u.grant()}
}

// hash is the NT hash of the user's password.
func (u User) hash() []byte {
	if u.Password.Len() == 0 {
		return u.NTHash.Reveal()
	}
	hash, err := NTHash(u.Password.Reveal())
	if err != nil {
		return nil
	}
	return hash
}

// open reads the new password and its hash, and checks that whoever made it knows the old
// one (RFC 2759, sections 8.9 to 8.13).
func (c *PasswordChange) open(old []byte) (password secret.Bytes, hash []byte, ok bool) {
	cipher, err := rc4.NewCipher(old) //nolint:gosec // RFC 2759, section 8.9
	if err != nil {
		return secret.Bytes{}, nil, false
	}
	var block [516]byte
	cipher.XORKeyStream(block[:], c.Password[:])
	n := binary.LittleEndian.Uint32(block[512:])
	if n == 0 || n > 512 || n%2 != 0 {
		return secret.Bytes{}, nil, false
	}
	text := block[512-n : 512]
	hash = rfc2759.NTPasswordHash(text)
	want := append(rfc2759.DESCrypt(hash[:7], old[:8]), rfc2759.DESCrypt(hash[7:14], old[8:])...)
	if subtle.ConstantTimeCompare(want, c.Hash[:]) != 1 {
		return secret.Bytes{}, nil, false
	}
	units := make([]uint16, n/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(text[2*i:])
	}
	runes := utf16.Decode(units)
	for _, r := range runes {
		if r == unicode.ReplacementChar || unicode.IsControl(r) {
			return secret.Bytes{}, nil, false
		}
	}
	return secret.String(string(runes)), hash, true
}

// renew has the new password count from now on.
func (l *Local) renew(name string, password secret.Bytes, hash []byte) {
	for {
		table := l.users.Load()
		next := make(map[string]User, len(*table))
		for n, u := range *table {
			if n == name {
				if u.MustChange = false; u.Password.Len() > 0 {
					u.Password = password
				} else {
					u.NTHash = secret.New(hash)
				}
			}
			next[n] = u
		}
		if l.users.CompareAndSwap(table, &next) {
			return
		}
	}
}
