package ppp

import (
	"bytes"
	"time"
)

// As server we open a network before the client does: the Ack that opens it waits
// for the client's Ack of our own request. Then no copy of our request finds an
// open client, which it would take down (RFC 1661, section 4.1, RCR in Opened).
// Traffic is no later for it, as it needs both Acks.

// hold keeps a request of a network protocol that is to be acknowledged until ours
// is, and reports whether it does. A client that answers only who has answered it
// has its Ack some round trips later. LCP's waits for nothing: the Challenge
// follows at once when LCP opens, and must not overtake it. Where no round trip
// was measured, and as client, nothing waits.
//
// Deviation: the table acknowledges at once.
func (l *Link) hold(now time.Time, y layer, p packet) bool {
	a := y.auto()
	if l.env.Config.Client || l.env.RoundTrip == 0 || y.protocol() == ProtocolLCP {
		return false
	}
	if a.state == stopped { // it was for the client to begin; our request goes first all the same
		l.fire(now, y, evDown, stimulus{})
		l.fire(now, y, evUp, stimulus{})
	}
	if !a.waits() {
		return false
	}
	if a.held == nil {
		a.until = now.Add(min(8*l.env.RoundTrip, l.period()))
		a.nudge = a.sent.Add(l.lost())
	}
	a.held, a.nudged = bytes.Clone(p.whole), true
	l.handleNudge(now, y)
	return true
}

// release acknowledges what is held, if anything is.
func (l *Link) release(now time.Time, y layer) {
	a := y.auto()
	held := a.held
	a.held, a.until = nil, time.Time{}
	if held == nil {
		return
	}
	p, err := parsePacket(held)
	if err != nil {
		return
	}
	opts, err := parseOptions(p.data)
	switch {
	case err != nil:
	case a.state != opened:
		l.fire(now, y, evRequestGood, stimulus{packet: p, opts: opts})
	case bytes.Equal(a.acked, held):
		l.send(y.protocol(), codeConfigureAck, p.id, p.data)
	}
}
