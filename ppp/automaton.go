package ppp

import (
	"bytes"
	"time"
)

// RFC 1661, section 4.6.
const (
	restartPeriod = 3 * time.Second
	maxTerminate  = 2
	maxConfigure  = 10
	maxFailure    = 5
)

// maxRefusals bounds how many of our requests the peer may refuse, and how many of the
// peer's requests we may refuse, before a layer opens. The RFC's own counters start
// afresh with every Nak, so they alone would let a negotiation go on for ever.
const maxRefusals = maxConfigure

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
	id       byte      // of our last Configure- or Terminate-Request
	answered bool      // our last Configure-Request has had its valid reply
	nudged   bool      // we heard the peer while our request was unanswered
	restart  int32     // restart counter
	timer    time.Time // restart timer, zero when it does not run
	request  []byte    // options of our last Configure-Request
	sent     time.Time // when the last copy of that request left
	why      string    // why the negotiation did not converge, if it did not
	nudge    time.Time // when to repeat our request, after we heard the peer; zero: never
	held     []byte    // the peer's whole request, whose Ack waits for the Ack of ours
	until    time.Time // how long that Ack waits

	heard    [4][]byte // the peer's last distinct Configure-Requests, newest first
	acked    []byte    // the request that we acknowledged last; nil: none stands
	ackedAt  time.Time // when we first acknowledged it
	copies   int32     // repeats of the newest request of the peer
	refused  int32     // of the peer's requests by us, since the last Configure-Ack
	naks     int32     // Configure-Naks sent since the last Configure-Ack
	refusals int32     // of our requests by the peer, since this layer was last up
}

// forget prepares for a negotiation that is independent of any earlier one.
func (a *automaton) forget() {
	a.refusals, a.refused, a.naks, a.why = 0, 0, 0, ""
	a.heard, a.acked, a.held, a.until = [4][]byte{}, nil, nil, time.Time{}
}

// silence says what the peer failed to do when the restart counter runs out.
func silence(a *automaton) string {
	if a.answered {
		return "the peer sends no Configure-Request that can be agreed to"
	}
	return "the peer does not answer our Configure-Request"
}

// layer is a protocol that an automaton negotiates: LCP, IPCP, IPV6CP or CCP.
type layer interface {
	protocol() uint16
	auto() *automaton
	options() []byte                                  // of our next Configure-Request
	judge(opts []option) (verdict byte, reply []byte) // of the peer's request, as a Configure- code
	accept(opts []option)                             // the peer's request is acknowledged
	naked(now time.Time, opts []option)               // the peer wants other values
	rejected(now time.Time, opts []option)            // the peer rejects these options
	up(now time.Time)
	down(now time.Time)
	finished(now time.Time, t trigger)
}

// stimulus is what came with an event: the packet, and for RCR
// (Receive-Configure-Request) also the options and the reply that judge composed.
type stimulus struct {
	packet
	opts      []option
	replyCode byte
	reply     []byte
	again     bool // a repeat of the request that was answered last
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
		a.timer = now.Add(l.period())
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
		l.sendRequest(now, y, t == evTimeout)
	case sca:
		if !bytes.Equal(a.acked, in.whole) {
			a.ackedAt = now
		}
		a.naks, a.refused = 0, 0
		a.acked = append(a.acked[:0], in.whole...)
		y.accept(in.opts)
		l.send(y.protocol(), codeConfigureAck, in.id, in.data)
	case scn:
		if in.replyCode == codeConfigureNak && !in.again {
			a.naks++
		}
		a.acked = nil
		l.send(y.protocol(), in.replyCode, in.id, in.reply)
	case str:
		a.restart--
		a.id++
		l.send(y.protocol(), codeTerminateRequest, a.id, []byte(l.farewell(y)))
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
func (l *Link) sendRequest(now time.Time, y layer, again bool) {
	a := y.auto()
	a.restart--
	if opts := y.options(); !again || a.answered || !bytes.Equal(opts, a.request) {
		a.id++
		a.request = opts
		a.answered = false
		a.nudge = time.Time{} // the nudge was for the request before
		if a.held != nil {
			a.nudge = now.Add(l.lost())
		}
	}
	a.sent = now
	l.send(y.protocol(), codeConfigureRequest, a.id, a.request)
}

// cut shortens the copy of a packet that a reject returns. The reject's own header takes
// room bytes more. RFC 1661, sections 5.6 and 5.7: the copy "MUST be truncated to comply
// with the peer's established MRU".
func (l *Link) cut(b []byte, room int) []byte {
	if limit := max(int(l.s.lcp.peerMRU), minMRU) - room; len(b) > limit {
		return b[:limit]
	}
	return b
}

// handleRestart handles the restart timer.
//
// Deviation: in Ack-Rcvd the table sends a new request. The peer has already acknowledged
// ours; what is missing is the peer's request, which it repeats by itself. Once we
// acknowledge that, the peer is open, and a copy of our new request would take it down
// again. So we send a new request only if the peer stays silent for half of all periods.
func (l *Link) handleRestart(now time.Time, y layer) {
	a := y.auto()
	if !due(now, a.timer) {
		return
	}
	switch {
	case a.state == ackRcvd && a.restart > maxConfigure/2:
		a.restart--
		a.timer = now.Add(l.period())
	case a.restart > 0:
		a.timer = time.Time{}
		l.fire(now, y, evTimeout, stimulus{})
	default:
		a.timer = time.Time{}
		l.fire(now, y, evGiveUp, stimulus{})
	}
}

// handleControl handles the codes that every automaton has (1 to 7).
func (l *Link) handleControl(now time.Time, y layer, p packet) error {
	switch p.code {
	case codeConfigureRequest:
		return l.handleRequest(now, y, p)
	case codeConfigureAck, codeConfigureNak, codeConfigureReject:
		return l.handleReply(now, y, p)
	case codeTerminateRequest:
		l.fire(now, y, evTermRequest, stimulus{packet: p})
	case codeTerminateAck:
		// A Terminate-Ack is accepted whatever its identifier: RFC 1661, section 5.5,
		// asks for no match, and peers that restart send a Terminate-Ack unasked.
		l.fire(now, y, evTermAck, stimulus{packet: p})
	case codeCodeReject:
		return l.handleCodeReject(now, y, p)
	case codeResetRequest, codeResetAck:
		if y.protocol() == ProtocolCCP {
			return l.handleReset(p)
		}
		l.fire(now, y, evUnknownCode, stimulus{packet: p})
	default:
		l.fire(now, y, evUnknownCode, stimulus{packet: p})
	}
	return nil
}
