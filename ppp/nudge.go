package ppp

import (
	"bytes"
	"time"
)

// nudgeAfter is the least time that our Configure-Request stays unanswered, after we have
// heard the peer, before it is repeated. It is also the time where no round trip has been
// measured.
const nudgeAfter = 250 * time.Millisecond

// lost is how long after it was sent an unanswered request counts as lost: a round trip
// and its variation.
func (l *Link) lost() time.Duration {
	trip := l.env.RoundTrip
	if trip == 0 {
		return nudgeAfter
	}
	return trip + max(trip/2, 100*time.Millisecond)
}

// press repeats our request before the peer's is answered, if a round trip has passed
// without a reply. An LNS speaks as soon as the call is connected, while the client's PPP
// is still starting: its first request is lost, and with the restart timer alone every
// such client would wait for a whole period. The request goes before the Ack for two
// reasons: some peers ignore requests once they have their Ack, and a later copy of our
// request would take down the layer that the Ack opens. A repeat of a request that we
// have just acknowledged does not cause this: its sender may have opened meanwhile. Where
// no round trip was measured, this happens once.
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

// nudge schedules one repeat of our request, for when we first hear the peer and no reply
// follows, because the request may still be on its way.
func (l *Link) nudge(y layer) {
	a := y.auto()
	if a.nudged || !a.waits() {
		return
	}
	a.nudged = true
	a.nudge = a.sent.Add(max(nudgeAfter, l.lost()))
}

// handleNudge repeats the request when it is due, and goes on repeating it while an Ack
// waits for its reply. It releases that Ack when it has waited long enough.
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

// repeatRequest sends a copy of our request before its time. It does not count as a
// retry: the peer was not listening yet.
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
