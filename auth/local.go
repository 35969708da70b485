package auth

import (
	"context"
	"crypto/md5" //nolint:gosec // RFC 1994 is MD5
	"crypto/subtle"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// User is one local user: a password, or only its NT hash, which verifies
// MS-CHAPv2 alone, or neither.
type User struct {
	Name        string
	Password    secret.Bytes
	NTHash      secret.Bytes // 16 bytes: MD4 of the password in UTF-16LE
	TOTP        secret.Bytes // base32: the password is followed by a one-time code; empty: it is not
	MustChange  bool         // the password has expired
	Certificate bool         // a certificate with the name proves the user
	Address     netip.Addr   // static address; invalid: from the pool
	Group       string
	IPv6        IPv6 // static
	Profile
}

// Local is a Backend of a table of users, which Replace exchanges as a whole.
type Local struct {
	// Changed keeps a password that a user has changed. Its error says why it does not. nil: no
	// password is changed. Set it before the first request.
	Changed func(user string, password secret.Bytes) error

	users    atomic.Pointer[map[string]User]
	changing chan struct{} // holds one while a password changes, or none may: see Hold
	codes    Codes
}

// NewLocal returns a backend of these users, whose one-time codes are remembered in memory.
func NewLocal(users []User) *Local { return NewLocalWith(users, NewUsedCodes(nil)) }

// NewLocalWith is NewLocal with another memory.
func NewLocalWith(users []User, codes Codes) *Local {
	l := &Local{changing: make(chan struct{}, 1), codes: codes}
	l.Replace(users)
	return l
}

// Hold has no user change the password until release is called. Replace with users that were
// read without it would take a password back that has changed since.
func (l *Local) Hold() (release func()) {
	l.changing <- struct{}{}
	return func() { <-l.changing }
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
	user, known := l.lookup(r.User)
	if !known {
		return unknown(), nil
	}
	if user.Password.Len() == 0 && user.NTHash.Len() == 0 {
		return Response{Verdict: MethodImpossible, Detail: fmt.Sprintf("user %q has no password, and comes in with a certificate, by EAP-TLS", user.Name)}, nil
	}
	if user.Password.Len() == 0 && (r.Method != MSCHAPv2 || user.TOTP.Len() > 0) {
		return impossible(user, r.Method), nil
	}
	if r.Change != nil {
		return l.change(r, user), nil
	}
	list, err := user.candidates(time.Now())
	if err != nil {
		return Response{}, err
	}
	for _, c := range list {
		success, ok, err := c.verify(r, user)
		switch {
		case err != nil:
			return Response{}, err
		case !ok:
			continue
		case c.step != 0 && !l.codes.Use(user.Name, c.step, r.Call.SessionID):
			return Response{Verdict: BadCredentials, Detail: "the one-time code was used before: the user has to wait for the next one"}, nil
		}
		if user.MustChange {
			return expired(user, r.Method), nil
		}
		return Response{Verdict: Accepted, Success: success, Grant: user.grant()}, nil
	}
	if user.TOTP.Len() > 0 {
		return Response{Verdict: BadCredentials, Detail: "wrong password, or the one-time code right behind it is wrong or missing"}, nil
	}
	return Response{Verdict: BadCredentials, Detail: "wrong password"}, nil
}

// verify checks what the peer has made of the password. success is MS-CHAPv2's proof.
func (c candidate) verify(r *Request, u User) (success string, ok bool, err error) {
	switch r.Method {
	case PAP:
		ok = r.Password.Equal(c.password)
	case CHAP:
		ok = verifyCHAP(r, c.password)
	case MSCHAPv2:
		u.Password = c.password
		success, ok = verifyMSCHAPv2(r, u)
	default:
		err = fmt.Errorf("local users cannot be authenticated by %v", r.Method)
	}
	return success, ok, err
}

// Certified is the verdict on a user of this name who has proved a certificate: has reports
// whether a name is in it.
func (l *Local) Certified(name string, has func(string) bool) Response {
	user, known := l.lookup(name)
	switch {
	case !known:
		return unknown()
	case !has(user.Name):
		return Response{Verdict: BadCredentials, Detail: fmt.Sprintf("the certificate does not have the name %q", user.Name)}
	case !user.Certificate:
		return Response{Verdict: NotAllowed, Detail: fmt.Sprintf("user %q may not come in with a certificate: set certificate = true", user.Name)}
	}
	return Response{Verdict: Accepted, Grant: user.grant()}
}

// lookup finds a user. Windows sends DOMAIN\user; the hash covers only the part behind the
// backslash (RFC 2759, section 4).
func (l *Local) lookup(name string) (User, bool) {
	table := *l.users.Load()
	if user, known := table[name]; known {
		return user, true
	}
	user, known := table[BareName(name)]
	return user, known
}

func unknown() Response { return Response{Verdict: BadCredentials, Detail: "no such user"} }

func (u User) grant() Grant {
	return Grant{User: u.Name, Group: u.Group, Address: u.Address, IPv6: u.IPv6, Settings: u.Settings, By: ByLocal}.Inherit(u.Profile)
}

func impossible(u User, m Method) Response {
	return Response{
		Verdict: MethodImpossible,
		Detail:  fmt.Sprintf("user %q is stored as an NT hash, which cannot verify %v: store the password, or allow only mschapv2", u.Name, m),
	}
}

// BareName is the user's name without a Windows domain in front.
func BareName(name string) string { return name[strings.LastIndexByte(name, '\\')+1:] }

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
	challenge := rfc2759.ChallengeHash(peerChallenge, r.Challenge, []byte(BareName(r.User)))
	want := rfc2759.ChallengeResponse(challenge, hash)
	if subtle.ConstantTimeCompare(want, ntResponse) != 1 {
		return "", false
	}
	return authenticatorResponse(challenge, ntResponse, hash), true
}
