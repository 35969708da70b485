package ppp

import "time"

// Rechallenge returns a link that does nothing but challenge a peer once more,
// whose own link is open and goes on elsewhere. RFC 1994, section 2: "At random
// intervals, the authenticator sends a new challenge to the peer". Authenticated
// says that the peer passed; whatever else happens, Down ends it, and nothing
// happens to the peer's own link. Method is CHAP or MS-CHAPv2.
func Rechallenge(env Env, method Method, now time.Time) *Link {
	l := New(env)
	l.s.alone = true
	l.s.phase = phaseAuthenticate
	l.s.lcp.automaton.state = opened
	l.s.lcp.method = method
	var id [1]byte
	if l.random(id[:]) == nil {
		l.s.challenges = id[0] // not that of the challenge which the peer answered before
	}
	l.startSetup(now)
	l.startAuth(now)
	return l
}
