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

// Reauthenticate has the peer of an open link show once more who it is, by the method by which
// it did, while its network stays up (RFC 1994, section 2; RFC 3748, section 1.2). It is false
// where a method has no way to ask, as PAP. Authenticated says that the peer passed; where it does
// not, the link ends with ReasonSessionTimeout.
//
// A Success is sent once: the peer is not waiting for it to go on. One that repeats its Response
// gets it again.
func (l *Link) Reauthenticate(now time.Time) bool {
	a := l.s.auth
	if l.s.phase != phaseNetwork || l.s.why != 0 || !a.passed || a.method == 0 || a.method == MethodPAP {
		return false
	}
	l.s.challenges = a.id // the next one differs from what the peer answered last
	l.s.auth = authState{method: a.method, again: true}
	l.askPeer(now)
	return true
}
