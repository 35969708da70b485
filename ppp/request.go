package ppp

import (
	"bytes"
	"time"
)

// handleRequest takes the peer's Configure-Request.
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
		// Deviation: the table restarts an open layer on every Configure-Request.
		// One that equals the request that we acknowledged, identifier included,
		// says by RFC 1661, section 5.1, that its sender has not seen our Ack: the
		// Ack again is what it lacks, and the layer stays up.
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
		return nil // judging found a loop
	}
	if in.replyCode != codeConfigureAck || !l.hold(now, y, p) {
		l.answerRequest(now, y, in)
	}
	return nil
}

// answerRequest answers a request that was judged.
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

// remember keeps the peer's newest request among the last that differ, and tells
// whether it is a copy that was on its way before our answer came: there are one
// or two, and who sends more does not listen.
func (a *automaton) remember(whole []byte) (again bool) {
	if bytes.Equal(a.heard[0], whole) {
		a.copies++
		return a.copies <= 2
	}
	copy(a.heard[1:], a.heard[:])
	a.heard[0], a.copies = bytes.Clone(whole), 0
	return false
}

// outdated tells whether a request is an earlier one than that which we have
// acknowledged, and was overtaken or repeated on its way. A peer that starts
// anew later may use the same words.
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

// countRefused counts a request of the peer's that was answered with other wishes.
// RFC 1661, section 4.6, bounds Naks and turns them into Rejects; a peer that
// heeds neither is left.
func (l *Link) countRefused(now time.Time, y layer, in stimulus) {
	a := y.auto()
	if a.refused++; a.refused < maxRefusals || len(in.reply) == 0 {
		return
	}
	l.diverge(now, y, "the peer insists on "+optionName(y.protocol(), in.reply[0]))
}
