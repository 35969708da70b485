package ppp

import (
	"bytes"
	"encoding/binary"
	"time"
)

// RFC 1661, section 4.6.
const (
	restartPeriod = 3 * time.Second
	maxTerminate  = 2
	maxConfigure  = 10
	maxFailure    = 5
)

// maxRefusals bounds how often the peer may refuse our requests: the RFC's
// counters start afresh with every Nak, and would never end.
const maxRefusals = 30

// Control codes (RFC 1661, section 5; RFC 1570, section 2).
const (
	codeConfigureRequest = 1
	codeConfigureAck     = 2
	codeConfigureNak     = 3
	codeConfigureReject  = 4
	codeTerminateRequest = 5
	codeTerminateAck     = 6
	codeCodeReject       = 7
	codeProtocolReject   = 8
	codeEchoRequest      = 9
	codeEchoReply        = 10
	codeDiscardRequest   = 11
	codeIdentification   = 12
	codeTimeRemaining    = 13
)

// automaton is the state of one RFC 1661 automaton.
type automaton struct {
	state    state
	restart  int       // restart counter
	timer    time.Time // restart timer, zero when it does not run
	id       byte      // of our last Configure- or Terminate-Request
	request  []byte    // options of our last Configure-Request
	answered bool      // that request has had its valid reply
	naks     int       // Configure-Naks sent since the last Configure-Ack
	refusals int       // of our requests, since this layer was last up
	nudged   bool      // the peer was heard while our request was unanswered
	nudge    time.Time // when to repeat our request because of that; zero: not
	acked    []byte    // the peer's last Configure-Request, when we acknowledged it
}

// layer is what an automaton serves: LCP or IPCP.
type layer interface {
	protocol() uint16
	auto() *automaton
	options() []byte                                  // of our next Configure-Request
	judge(opts []option) (verdict byte, reply []byte) // of the peer's request: a Configure- code
	accept(opts []option)                             // the peer's request is acknowledged
	naked(now time.Time, opts []option)               // the peer wants other values
	rejected(now time.Time, opts []option)            // the peer wants none of these
	up(now time.Time)
	down(now time.Time)
	finished(now time.Time, t trigger)
}

// stimulus is what came with an event: the packet, and for RCR the options and
// the reply that judge composed.
type stimulus struct {
	packet
	opts      []option
	replyCode byte
	reply     []byte
}

// fire runs one event through the table.
func (l *Link) fire(now time.Time, y layer, t trigger, in stimulus) {
	a := y.auto()
	tr := transitions[t][a.state]
	if !tr.possible || l.s.phase == phaseDone {
		return
	}
	was := a.state
	a.state = tr.next
	rearm := a.state != was && !was.timed()
	for _, act := range tr.actions {
		rearm = rearm || act == scr || act == str
		l.perform(now, y, act, t, in)
	}
	switch {
	case !a.state.timed():
		a.timer = time.Time{}
	case rearm || a.timer.IsZero():
		a.timer = now.Add(restartPeriod)
	}
}

func (l *Link) perform(now time.Time, y layer, act action, t trigger, in stimulus) {
	a := y.auto()
	switch act {
	case noAction, tls:
	case tlu:
		a.refusals = 0
		y.up(now)
	case tld:
		y.down(now)
	case tlf:
		y.finished(now, t)
	case irc:
		a.restart = maxConfigure
		if a.state == closing || a.state == stopping {
			a.restart = maxTerminate
		}
	case zrc:
		a.restart = 0
	case scr:
		l.sendRequest(y, t == evTimeout)
	case sca:
		a.naks = 0
		a.acked = append(a.acked[:0], in.whole...)
		y.accept(in.opts)
		l.send(y.protocol(), codeConfigureAck, in.id, in.data)
	case scn:
		if in.replyCode == codeConfigureNak {
			a.naks++
		}
		a.acked = nil
		l.send(y.protocol(), in.replyCode, in.id, in.reply)
	case str:
		a.restart--
		a.id++
		var text []byte
		if l.s.why != 0 {
			text = []byte(l.s.why.String())
		}
		l.send(y.protocol(), codeTerminateRequest, a.id, text)
	case sta:
		id := in.id
		if t != evTermRequest {
			a.id++
			id = a.id
		}
		l.send(y.protocol(), codeTerminateAck, id, nil)
	case scj:
		l.note(NoteCodeRejected, y.protocol(), in.code)
		a.id++
		l.send(y.protocol(), codeCodeReject, a.id, l.cut(in.whole, 4))
	case ser:
		if in.code == codeEchoRequest {
			l.sendEchoReply(in.packet)
		}
	}
}

// sendRequest sends a Configure-Request. RFC 1661, section 5.1: the identifier
// "MUST be changed whenever the contents of the Options field changes, and
// whenever a valid reply has been received for a previous request. For
// retransmissions, the Identifier MAY remain unchanged": it does.
func (l *Link) sendRequest(y layer, again bool) {
	a := y.auto()
	a.restart--
	if opts := y.options(); !again || a.answered || !bytes.Equal(opts, a.request) {
		a.id++
		a.request = opts
		a.answered = false
	}
	l.send(y.protocol(), codeConfigureRequest, a.id, a.request)
}

// cut shortens a copy of a packet that goes back in a reject, whose own header
// takes room more bytes: "MUST be truncated to comply with the peer's
// established MRU" (RFC 1661, sections 5.6 and 5.7).
func (l *Link) cut(b []byte, room int) []byte {
	if limit := max(int(l.s.lcp.peerMRU), minMRU) - room; len(b) > limit {
		return b[:limit]
	}
	return b
}

// handleRestart delivers the restart timer.
func (l *Link) handleRestart(now time.Time, y layer) {
	a := y.auto()
	if a.timer.IsZero() || now.Before(a.timer) {
		return
	}
	a.timer = time.Time{}
	if a.restart > 0 {
		l.fire(now, y, evTimeout, stimulus{})
	} else {
		l.fire(now, y, evGiveUp, stimulus{})
	}
}

// handleControl runs the codes that every automaton has (1 to 7).
func (l *Link) handleControl(now time.Time, y layer, p packet) error {
	switch p.code {
	case codeConfigureRequest:
		return l.handleRequest(now, y, p)
	case codeConfigureAck, codeConfigureNak, codeConfigureReject:
		return l.handleReply(now, y, p)
	case codeTerminateRequest:
		l.fire(now, y, evTermRequest, stimulus{packet: p})
	case codeTerminateAck:
		// An identifier that matches nothing is accepted: RFC 1661, section
		// 5.5, asks for none, and peers that restart send it unasked.
		l.fire(now, y, evTermAck, stimulus{packet: p})
	case codeCodeReject:
		return l.handleCodeReject(now, y, p)
	default:
		l.fire(now, y, evUnknownCode, stimulus{packet: p})
	}
	return nil
}

func (l *Link) handleRequest(now time.Time, y layer, p packet) error {
	opts, err := parseOptions(p.data)
	if err != nil {
		return err
	}
	a := y.auto()
	// Deviation: the table restarts an open layer on every Configure-Request.
	// One that equals the request that we acknowledged, identifier included,
	// says by RFC 1661, section 5.1, that its sender has not seen our Ack: the
	// Ack again is what it lacks, and the layer stays up.
	if a.state == opened && bytes.Equal(a.acked, p.whole) {
		l.send(y.protocol(), codeConfigureAck, p.id, p.data)
		return nil
	}
	switch a.state {
	case closing, stopping, closed:
		l.fire(now, y, evRequestGood, stimulus{packet: p, opts: opts})
		return nil
	case opened:
		l.note(NoteRenegotiated, y.protocol(), 0)
	case initial, starting, stopped, reqSent, ackRcvd, ackSent:
	}
	in := stimulus{packet: p, opts: opts}
	in.replyCode, in.reply = y.judge(opts)
	if l.s.phase == phaseDone {
		return nil // judging found a loop
	}
	if in.replyCode == codeConfigureAck {
		l.fire(now, y, evRequestGood, in)
	} else {
		l.fire(now, y, evRequestBad, in)
	}
	l.nudge(now, y)
	return nil
}

// nudgeAfter is how long our Configure-Request may be unanswered, once the peer
// was heard, before it is repeated.
const nudgeAfter = 250 * time.Millisecond

// nudge has an unanswered Configure-Request repeated, once, when the peer is
// first heard. An LNS speaks as soon as the call is connected, while the
// client's PPP is still starting: its first request is lost, and the restart
// timer alone would make every such client wait out its period. A request that
// is only on its way must not be repeated: that would take the peer's open
// layer down again.
func (l *Link) nudge(now time.Time, y layer) {
	a := y.auto()
	if a.nudged || !a.waits() {
		return
	}
	a.nudged = true
	if a.nudge = a.timer.Add(nudgeAfter - restartPeriod); a.nudge.Before(now) {
		a.nudge = now
	}
	l.handleNudge(now, y)
}

// handleNudge repeats the request when nudge has set a time for it.
func (l *Link) handleNudge(now time.Time, y layer) {
	a := y.auto()
	if !due(now, a.nudge) {
		return
	}
	a.nudge = time.Time{}
	if !a.waits() {
		return
	}
	a.restart++ // it is no retry: the peer was not there
	l.sendRequest(y, true)
	a.timer = now.Add(restartPeriod)
}

// waits reports whether our Configure-Request has had no answer yet.
func (a *automaton) waits() bool {
	return !a.timer.IsZero() && !a.answered && (a.state == ackSent || a.state == reqSent)
}

// handleReply takes the answer to our Configure-Request. Only the first answer
// to the last request counts: a duplicate would take an open layer down.
func (l *Link) handleReply(now time.Time, y layer, p packet) error {
	a := y.auto()
	if !a.state.timed() && a.state != opened {
		l.fire(now, y, evAck, stimulus{packet: p}) // "-", or a Terminate-Ack
		return nil
	}
	if p.id != a.id || a.answered || a.request == nil {
		return ErrUnexpected
	}
	opts, err := parseOptions(p.data)
	if err != nil {
		return err
	}
	switch p.code {
	case codeConfigureAck:
		if !bytes.Equal(p.data, a.request) {
			return ErrMalformed
		}
		a.answered = true
		l.fire(now, y, evAck, stimulus{packet: p})
		return nil
	case codeConfigureReject:
		if !subset(opts, a.request) {
			return ErrMalformed
		}
		a.answered = true
		y.rejected(now, opts)
	default:
		a.answered = true
		y.naked(now, opts)
	}
	if a.refusals++; a.refusals > maxRefusals {
		y.finished(now, evGiveUp)
	}
	if l.s.phase == phaseDone {
		return nil
	}
	l.fire(now, y, evNak, stimulus{packet: p})
	return nil
}

// handleCodeReject: RFC 1661, section 5.6. The codes 1 to 7 are what the
// automaton consists of; a peer without them speaks another protocol.
func (l *Link) handleCodeReject(now time.Time, y layer, p packet) error {
	if len(p.data) < 4 {
		return ErrMalformed
	}
	switch code := p.data[0]; {
	case code >= codeConfigureRequest && code <= codeCodeReject:
		l.fail(ReasonRejected)
		l.fire(now, y, evRejectBad, stimulus{packet: p})
	default:
		if code == codeEchoRequest && y.protocol() == ProtocolLCP {
			l.s.echo.off = true
		}
		l.fire(now, y, evRejectGood, stimulus{packet: p})
	}
	return nil
}

// option is one configuration option; raw includes its type and length.
type option struct {
	kind byte
	data []byte
	raw  []byte
}

// parseOptions splits an option list. One bad length condemns the whole
// packet: what follows it cannot be found.
func parseOptions(b []byte) ([]option, error) {
	var opts []option
	for len(b) > 0 {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return nil, ErrMalformed
		}
		n := int(b[1])
		opts = append(opts, option{kind: b[0], data: b[2:n], raw: b[:n]})
		b = b[n:]
	}
	return opts, nil
}

// subset tells whether every option is, byte for byte, one of request's.
func subset(opts []option, request []byte) bool {
	sent, err := parseOptions(request)
	if err != nil {
		return false
	}
	for _, o := range opts {
		found := false
		for _, s := range sent {
			found = found || bytes.Equal(o.raw, s.raw)
		}
		if !found {
			return false
		}
	}
	return true
}

func appendOption(b []byte, kind byte, data ...byte) []byte {
	return append(append(b, kind, byte(len(data)+2)), data...)
}

func appendOption16(b []byte, kind byte, v uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, kind, 4), v)
}

func appendOption32(b []byte, kind byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind, 6), v)
}
