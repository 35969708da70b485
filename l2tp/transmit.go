package l2tp

import "time"

// queue passes a message to the channel. The header's sequence numbers are written
// when it is sent.
func (t *Tunnel) queue(session uint16, o *outline) {
	t.enqueue(session, o, false)
}

func (t *Tunnel) enqueue(session uint16, o *outline, isHello bool) {
	putHeader(o.b, header{tunnel: t.s.peer.Tunnel, session: session})
	t.s.channel.queue = append(t.s.channel.queue, outgoing{data: o.b, hello: isHello})
}

// flush sends the messages that the windows allow, and the acknowledgement that is
// due if no message carried it. It does not delay an acknowledgement until a
// message can carry it: RFC 2661, section 5.8, allows a delay, but old Android
// does nothing until the acknowledgement comes.
func (t *Tunnel) flush(now time.Time) {
	if t.s.ending == gone {
		return
	}
	c := &t.s.channel
	if len(c.queue) > maxQueue {
		t.clean(now, end{Result: Result{Code: StopError, Error: ErrorResources, Message: "peer acknowledges nothing"}}, false)
		return
	}
	t.pump(now)
	if t.s.ending == leaving && c.idle() {
		t.gone()
	}
}

func (t *Tunnel) pump(now time.Time) {
	c := &t.s.channel
	for {
		m, ok := c.next(now)
		if !ok {
			break
		}
		t.transmit(m)
	}
	if t.s.ack {
		b := make([]byte, controlHeaderLen)
		putHeader(b, header{tunnel: t.s.peer.Tunnel, ns: c.ns, nr: c.nr})
		t.s.ack = false
		t.out.Push(Send{Data: b})
	}
}

// transmit sends a copy of a message, with the newest acknowledgement.
func (t *Tunnel) transmit(m outgoing) {
	b := append([]byte(nil), m.data...)
	h := header{tunnel: t.s.peer.Tunnel, ns: m.ns, nr: t.s.channel.nr}
	h.session = uint16(b[6])<<8 | uint16(b[7])
	putHeader(b, h)
	t.s.ack = false
	t.out.Push(Send{Data: b})
}

// resend repeats the oldest outstanding message. The repetition does not count
// towards the limit.
func (t *Tunnel) resend() {
	if sent := t.s.channel.sent; len(sent) > 0 {
		t.transmit(sent[0])
	}
}

// handleRetransmit repeats the oldest outstanding message, or gives up. RFC
// 2661, section 5.8: "if no peer response is detected after several
// retransmissions ... the entire tunnel and all sessions within it MUST be
// cleared".
func (t *Tunnel) handleRetransmit(now time.Time) {
	c := &t.s.channel
	if !due(now, c.timer) || len(c.sent) == 0 {
		return
	}
	limit := maxSends
	if t.s.ending == leaving {
		limit = maxClosingSends
	}
	if c.sends >= limit {
		// A peer that does not acknowledge a HELLO but sends data is alive: the
		// HELLO asks for nothing else.
		if t.s.ending == live && c.sent[0].hello && t.s.heard.After(c.since) {
			c.sends, c.since = 1, now
		} else {
			t.giveUp(now)
			return
		}
	}
	t.transmit(c.sent[0])
	c.backOff(now)
}

func (t *Tunnel) giveUp(now time.Time) {
	if t.s.ending == live {
		t.s.state = tunnelIdle
		t.clean(now, end{Result: Result{Message: "peer does not answer"}}, false)
		return
	}
	t.gone()
}
