package ppp

import "time"

// Rechallenge returns a link that only sends one more challenge to a peer whose own link
// is open and continues elsewhere. RFC 1994, section 2: "At random intervals, the
// authenticator sends a new challenge to the peer". Authenticated says that the peer
// passed. Any other outcome ends with Down. The peer's own link is not affected. Method
// is CHAP or MS-CHAPv2.
func Rechallenge(env Env, method Method, now time.Time) *Link {
	l := New(env)
	l.s.alone = true
	l.s.phase = phaseAuthenticate
	l.s.lcp.automaton.state = opened
	l.s.lcp.method = method
	var id [1]byte
	if l.random(id[:]) == nil {
		l.s.challenges = id[0] // differs from the challenge that the peer answered before
	}
	l.startSetup(now)
	l.startAuth(now)
	return l
}
