package ppp

import (
	"bytes"
	"time"
)

// As server we open a network layer before the client does: the Ack that opens the
// client's layer waits for the client's Ack of our own request. Otherwise a late copy of
// our request could find an open client and take it down (RFC 1661, section 4.1, RCR in
// Opened). This does not delay traffic, which needs both Acks.

// hold keeps an acceptable request of a network protocol until our own request is
// acknowledged, and reports whether it does so. Some clients answer our request only
// after we have answered theirs: they get their Ack a few round trips later. LCP requests
// are never held: the Challenge follows at once when LCP opens, and must not overtake the
// Ack. Nothing is held where no round trip was measured, or as client.
//
// Deviation: the table acknowledges at once.
func (l *Link) hold(now time.Time, y layer, p packet) bool {
	a := y.auto()
	if l.env.Config.Client || l.env.RoundTrip == 0 || y.protocol() == ProtocolLCP {
		return false
	}
	if a.state == stopped { // we left it to the client to begin; our request goes first all the same
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

// release acknowledges the request that is held, if there is one.
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
