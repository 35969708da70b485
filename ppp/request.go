package ppp

import (
	"bytes"
	"time"
)

// handleRequest handles the peer's Configure-Request.
func (l *Link) handleRequest(now time.Time, y layer, p packet) error {
	opts, err := parseOptions(p.data)
	if err != nil {
		return err
	}
	a := y.auto()
	switch a.state {
	case closing, stopping, closed:
		l.fire(now, y, evRequestGood, stimulus{packet: p, opts: opts})
		return nil
	case ackSent, opened:
		if a.outdated(now, l.period(), p) {
			return ErrUnexpected
		}
		// Deviation: the table restarts an open layer on every Configure-Request. By RFC
		// 1661, section 5.1, a request that equals the one that we acknowledged,
		// including the identifier, means that its sender has not seen our Ack. So the
		// Ack is sent again, and the layer stays up.
		if a.state == opened && bytes.Equal(a.acked, p.whole) {
			l.send(y.protocol(), codeConfigureAck, p.id, p.data)
			return nil
		}
		if a.state == opened {
			l.note(NoteRenegotiated, y.protocol(), 0)
		}
	case initial, starting, stopped, reqSent, ackRcvd:
	}
	in := stimulus{packet: p, opts: opts, again: a.remember(p.whole)}
	in.replyCode, in.reply = y.judge(opts)
	if l.s.phase == phaseDone {
		return nil // judge found that the link is looped back
	}
	if y.protocol() == ProtocolCCP && (ccp{l}).unneeded(in) {
		return nil
	}
	if in.replyCode != codeConfigureAck || !l.hold(now, y, p) {
		l.answerRequest(now, y, in)
	}
	return nil
}

// answerRequest answers a request according to what judge decided.
func (l *Link) answerRequest(now time.Time, y layer, in stimulus) {
	a := y.auto()
	a.held, a.until = nil, time.Time{}
	l.press(now, y, in.packet)
	if in.replyCode == codeConfigureAck {
		l.fire(now, y, evRequestGood, in)
	} else {
		l.fire(now, y, evRequestBad, in)
		if !in.again {
			l.countRefused(now, y, in)
		}
	}
	l.nudge(y)
}

// remember adds the peer's newest request to its last distinct ones, and tells whether it
// is a copy that was sent before our answer arrived. One or two such copies are normal; a
// peer that sends more ignores our answers.
func (a *automaton) remember(whole []byte) (again bool) {
	if bytes.Equal(a.heard[0], whole) {
		a.copies++
		return a.copies <= 2
	}
	copy(a.heard[1:], a.heard[:])
	a.heard[0], a.copies = bytes.Clone(whole), 0
	return false
}

// outdated tells whether a request is older than the one that we have acknowledged, and
// arrives now because it was overtaken or repeated on its way. A peer that starts anew
// some time later may send an identical request.
func (a *automaton) outdated(now time.Time, period time.Duration, p packet) bool {
	if a.acked == nil || bytes.Equal(a.acked, p.whole) || now.Sub(a.ackedAt) > 2*period {
		return false
	}
	for _, earlier := range a.heard[1:] {
		if bytes.Equal(earlier, p.whole) {
			return true
		}
	}
	return false
}

// countRefused counts a request of the peer that we answered with a Nak or a Reject. RFC
// 1661, section 4.6, bounds Naks and turns them into Rejects; with a peer that ignores
// both, negotiation ends.
func (l *Link) countRefused(now time.Time, y layer, in stimulus) {
	a := y.auto()
	if a.refused++; a.refused < maxRefusals || len(in.reply) == 0 {
		return
	}
	l.diverge(now, y, "the peer insists on "+optionName(y.protocol(), in.reply[0]))
}
