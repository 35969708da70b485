package auth

import (
	"crypto/md5" //nolint:gosec // RFC 1994 is MD5
	"crypto/rand"
	"fmt"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// Prove is the request of a client who knows a password, by PAP, CHAP or MS-CHAPv2.
func Prove(m Method, user string, password secret.Bytes) (*Request, error) {
	r := &Request{Method: m, User: user}
	switch m {
	case PAP:
		r.Password = password
		return r, nil
	case CHAP, MSCHAPv2:
		random := make([]byte, 33)
		_, _ = rand.Read(random) // it never fails
		r.ID, r.Challenge = random[0], random[1:17]
		if m == CHAP {
			digest := md5.Sum(append(append([]byte{r.ID}, password.Reveal()...), r.Challenge...)) //nolint:gosec // RFC 1994
			r.Response = digest[:]
			return r, nil
		}
		hash, err := NTHash(password.Reveal())
		if err != nil {
			return nil, fmt.Errorf("the password cannot be hashed for %v: %w", m, err)
		}
		peer := random[17:]
		// RFC 2759, section 4: Peer-Challenge, eight reserved bytes, NT-Response, Flags.
		r.Response = append(append([]byte(nil), peer...), make([]byte, 8)...)
		challenge := rfc2759.ChallengeHash(peer, r.Challenge, []byte(BareName(user)))
		r.Response = append(append(r.Response, rfc2759.ChallengeResponse(challenge, hash)...), 0)
		return r, nil
	case EAP: // a conversation
	}
	return nil, fmt.Errorf("there is no proof by %v that fits in one request", m)
}

// Proves reports whether an answer shows that its server knows the password, too, as MS-CHAPv2
// demands. Other methods demand nothing.
func Proves(r *Request, password secret.Bytes, answer Response) bool {
	if r.Method != MSCHAPv2 {
		return true
	}
	hash, err := NTHash(password.Reveal())
	return err == nil && len(r.Response) == 49 && answer.Success == authenticatorResponse(r.challengeHash(), r.Response[24:48], hash)
}

// challengeHash is that of RFC 2759, section 8.2.
func (r *Request) challengeHash() []byte {
	return rfc2759.ChallengeHash(r.Response[:16], r.Challenge, []byte(BareName(r.User)))
}
