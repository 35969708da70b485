package session

import (
	"errors"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ppp"
)

var errNotTheirs = errors.New("another user answered than the one whose tunnel was claimed")

// Challenge returns a session that only challenges the client of another session to prove
// that it is user, by the method that the other session used: see ppp.Rechallenge. Passed
// says that the client did; Failed or Ended that it did not. The session carries no user
// traffic.
func Challenge(env Env, id, user string, method auth.Method, now time.Time) *Session {
	by := ppp.MethodCHAP
	if method == auth.MSCHAPv2 {
		by = ppp.MethodMSCHAPv2
	}
	s := &Session{env: env, link: ppp.Rechallenge(env.link(), by, now)}
	s.st.id, s.st.alone = id, user
	s.pump(now)
	return s
}

// Challenges reports whether a method can challenge a user again at any time (RFC 1994,
// section 2).
func Challenges(m auth.Method) bool { return m == auth.CHAP || m == auth.MSCHAPv2 }

// judgeAlone turns the backend's answer into the result of a challenge. Only the user for
// whom the challenge is made passes.
func (s *Session) judgeAlone(now time.Time, a *attempt, r auth.Response, err error) {
	r.Grant.Identify(s.env.Policy.Identity, a.name)
	answer := ppp.AuthAnswer{OK: err == nil && r.Verdict == auth.Accepted, Success: r.Success, Error: r.Code}
	if answer.OK && r.Grant.User != s.st.alone {
		answer = ppp.AuthAnswer{}
		r.Verdict, r.Detail = auth.NotAllowed, errNotTheirs.Error()
	}
	s.judged(now, a, r, err, answer)
}
