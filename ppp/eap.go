package ppp

import (
	"bytes"
	"time"
)

// EAP codes (RFC 3748, section 4), and the type of a Request for the peer's name (section
// 5.1).
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4

	eapIdentity = 1
)

// maxEAPSteps bounds the Requests of one exchange: a certificate of 64 KiB takes some fifty
// round trips.
const maxEAPSteps = 100

// startEAP asks the peer for its name. What follows is the backend's: a method's packets
// pass through (RFC 3748, section 2.3).
func (l *Link) startEAP(now time.Time) {
	l.s.challenges++
	l.requestEAP(now, l.s.challenges, []byte{eapIdentity})
}

// requestEAP sends a Request, whose data begins with its type.
func (l *Link) requestEAP(now time.Time, id byte, data []byte) {
	a := &l.s.auth
	a.id, a.challenge, a.answer = id, data, nil
	a.tries, a.timer = 1, now.Add(l.period())
	l.sendChallenge()
}

// handleEAPResponse takes a Response as authenticator. Only one to the last Request counts;
// the backend sees each once (RFC 3748, section 4.1: "The authenticator MUST NOT process a
// duplicate Response").
func (l *Link) handleEAPResponse(now time.Time, p packet) error {
	a := &l.s.auth
	switch {
	case p.code != eapResponse || p.id != a.id:
		return ErrUnexpected
	case a.code != 0:
		l.repeatVerdict()
		return nil
	case a.pending: // the first Response counts
		return nil
	case len(p.data) == 0:
		return ErrMalformed
	}
	user := a.user
	if a.asks == 0 {
		if p.data[0] != eapIdentity || len(p.data) > 1+maxName {
			return ErrMalformed
		}
		user = string(p.data[1:])
	}
	a.asks++
	l.request(now, AuthRequest{User: user, EAP: bytes.Clone(p.whole), Continued: a.asks > 1, MTU: min(l.mru(), l.s.lcp.peerMRU)})
	return nil
}

// continueEAP sends the backend's next Request, and tells whether it is one.
func (l *Link) continueEAP(now time.Time, request []byte) bool {
	p, err := parsePacket(request)
	if err != nil || p.code != eapRequest || len(p.data) == 0 || l.s.auth.asks >= maxEAPSteps {
		return false
	}
	l.s.auth.pending, l.s.auth.verdictBy = false, time.Time{}
	l.requestEAP(now, p.id, bytes.Clone(p.data))
	return true
}
