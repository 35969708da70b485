package ppp

import (
	"bytes"
	"time"
)

// nudgeAfter is how long our Configure-Request may be unanswered, once the peer
// was heard, before it is repeated: at least, and where no round trip has been
// measured.
const nudgeAfter = 250 * time.Millisecond

// lost is when a request is over that has had no answer: a round trip, and what
// it varies by.
func (l *Link) lost() time.Duration {
	trip := l.env.RoundTrip
	if trip == 0 {
		return nudgeAfter
	}
	return trip + max(trip/2, 100*time.Millisecond)
}

// press repeats our request before the peer's is answered, if a round trip has
// passed without a reply. An LNS speaks as soon as the call is connected, while
// the client's PPP is still starting: its first request is lost, and the restart
// timer alone would make every such client wait out its period. It goes before
// the Ack, since some peers listen to no request once they have theirs, and
// since what the Ack opens a later copy would take down again. A copy of what we
// have just acknowledged presses nothing: its sender may have opened meanwhile.
// Where no round trip was measured it is done once.
func (l *Link) press(now time.Time, y layer, p packet) {
	a, trip := y.auto(), l.env.RoundTrip
	switch {
	case !a.waits(), bytes.Equal(a.acked, p.whole) && now.Sub(a.ackedAt) < l.lost():
		return
	case trip == 0 && (a.nudged || now.Sub(a.sent) < nudgeAfter), now.Sub(a.sent) < trip:
		return
	}
	a.nudged = true
	l.repeatRequest(now, y)
}

// nudge has a request that is only on its way repeated later, once, when the
// peer is first heard and no reply follows.
func (l *Link) nudge(y layer) {
	a := y.auto()
	if a.nudged || !a.waits() {
		return
	}
	a.nudged = true
	a.nudge = a.sent.Add(max(nudgeAfter, l.lost()))
}

// handleNudge repeats the request when it is time, and again as long as an Ack
// waits for it; and gives that Ack when it has waited long enough.
func (l *Link) handleNudge(now time.Time, y layer) {
	a := y.auto()
	if due(now, a.nudge) {
		a.nudge = time.Time{}
		if a.waits() {
			l.repeatRequest(now, y)
		}
		if a.held != nil {
			a.nudge = now.Add(l.lost())
		}
	}
	if due(now, a.until) {
		a.nudge = time.Time{}
		l.release(now, y)
	}
}

// repeatRequest sends a copy of our request before its time. It is no retry:
// the peer was not there.
func (l *Link) repeatRequest(now time.Time, y layer) {
	a := y.auto()
	a.restart++
	l.sendRequest(now, y, true)
	a.timer, a.nudge = now.Add(l.period()), time.Time{}
}

// waits reports whether our Configure-Request has had no answer yet.
func (a *automaton) waits() bool {
	return !a.timer.IsZero() && !a.answered && (a.state == ackSent || a.state == reqSent)
}
