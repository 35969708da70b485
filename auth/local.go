package auth

import (
	"context"
	"crypto/md5" //nolint:gosec // RFC 1994 is MD5
	"crypto/subtle"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// User is one local user: a password, or only its NT hash, which verifies
// MS-CHAPv2 alone.
type User struct {
	Name     string
	Password secret.Bytes
	NTHash   secret.Bytes // 16 bytes: MD4 of the password in UTF-16LE
	Address  netip.Addr   // static address; invalid: from the pool
	Group    string
	IPv6     IPv6 // static
	Settings
}

// Local is a Backend of a table of users, which Replace exchanges as a whole.
type Local struct {
	users atomic.Pointer[map[string]User]
}

// NewLocal returns a backend of these users.
func NewLocal(users []User) *Local {
	l := &Local{}
	l.Replace(users)
	return l
}

// Replace exchanges the table; requests under way finish on the old one.
func (l *Local) Replace(users []User) {
	table := make(map[string]User, len(users))
	for _, u := range users {
		table[u.Name] = u
	}
	l.users.Store(&table)
}

// Authenticate implements Backend. It never fails.
func (l *Local) Authenticate(_ context.Context, r *Request) (Response, error) {
	user, known := (*l.users.Load())[r.User]
	if !known {
		// Windows sends DOMAIN\user; the hash covers only the part behind the
		// backslash (RFC 2759, section 4).
		user, known = (*l.users.Load())[bareName(r.User)]
	}
	if !known {
		return Response{Verdict: BadCredentials, Detail: "no such user"}, nil
	}
	var ok bool
	var success string
	switch r.Method {
	case PAP:
		if user.Password.Len() == 0 {
			return impossible(user, r.Method), nil
		}
		ok = r.Password.Equal(user.Password)
	case CHAP:
		if user.Password.Len() == 0 {
			return impossible(user, r.Method), nil
		}
		ok = verifyCHAP(r, user.Password)
	case MSCHAPv2:
		success, ok = verifyMSCHAPv2(r, user)
	default:
		return Response{}, fmt.Errorf("local users cannot be authenticated by %v", r.Method)
	}
	if !ok {
		return Response{Verdict: BadCredentials, Detail: "wrong password"}, nil
	}
	return Response{
		Verdict: Accepted,
		Success: success,
		Grant:   Grant{User: user.Name, Group: user.Group, Address: user.Address, IPv6: user.IPv6, Settings: user.Settings},
	}, nil
}

func impossible(u User, m Method) Response {
	return Response{
		Verdict: MethodImpossible,
		Detail:  fmt.Sprintf("user %q is stored as an NT hash, which cannot verify %v: store the password, or allow only mschapv2", u.Name, m),
	}
}

// bareName is the user's name without a Windows domain in front.
func bareName(name string) string {
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// verifyCHAP checks MD5(identifier | secret | challenge), RFC 1994, section 4.1.
func verifyCHAP(r *Request, password secret.Bytes) bool {
	h := md5.New() //nolint:gosec // RFC 1994 is MD5
	h.Write([]byte{r.ID})
	h.Write(password.Reveal())
	h.Write(r.Challenge)
	return subtle.ConstantTimeCompare(h.Sum(nil), r.Response) == 1
}

// verifyMSCHAPv2 checks the NT-Response and returns the authenticator
// response, "S=…" (RFC 2759, sections 4, 5 and 8). The peer hashed the name
// that it sent, without a domain.
func verifyMSCHAPv2(r *Request, u User) (string, bool) {
	if len(r.Challenge) != 16 || len(r.Response) != 49 {
		return "", false
	}
	peerChallenge, ntResponse := r.Response[:16], r.Response[24:48]
	hash := u.NTHash.Reveal()
	if u.Password.Len() > 0 {
		ucs2, err := rfc2759.ToUTF16(u.Password.Reveal())
		if err != nil {
			return "", false
		}
		hash = rfc2759.NTPasswordHash(ucs2)
	}
	challenge := rfc2759.ChallengeHash(peerChallenge, r.Challenge, []byte(bareName(r.User)))
	want := rfc2759.ChallengeResponse(challenge, hash)
	if subtle.ConstantTimeCompare(want, ntResponse) != 1 {
		return "", false
	}
	return authenticatorResponse(challenge, ntResponse, hash), true
}
