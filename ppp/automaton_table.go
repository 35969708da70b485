package ppp

import "fmt"

// state is a state of the RFC 1661 automaton, with the RFC's numbers.
type state uint8

const (
	initial state = iota
	starting
	closed
	stopped
	closing
	stopping
	reqSent
	ackRcvd
	ackSent
	opened
)

// String returns the RFC's name of the state.
func (s state) String() string {
	names := [...]string{"Initial", "Starting", "Closed", "Stopped", "Closing", "Stopping",
		"Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// timed tells whether the restart timer runs in this state (RFC 1661, section 4.2, names
// these five states).
func (s state) timed() bool {
	switch s {
	case closing, stopping, reqSent, ackRcvd, ackSent:
		return true
	case initial, starting, closed, stopped, opened:
	}
	return false
}

// trigger is an event of the automaton, in the order of the RFC's table.
type trigger uint8

const (
	evUp          trigger = iota // lower layer is up
	evDown                       // lower layer is down
	evOpen                       // administrative open
	evClose                      // administrative close
	evTimeout                    // TO+: restart timer, counter above zero
	evGiveUp                     // TO-: restart timer, counter exhausted
	evRequestGood                // RCR+
	evRequestBad                 // RCR-
	evAck                        // RCA
	evNak                        // RCN: Configure-Nak or Configure-Reject
	evTermRequest                // RTR
	evTermAck                    // RTA
	evUnknownCode                // RUC
	evRejectGood                 // RXJ+: a reject that does not prevent the layer from working
	evRejectBad                  // RXJ-: a reject of something indispensable
	evEcho                       // RXR: Echo-Request, Echo-Reply, Discard-Request
	triggerCount
)

// action is an action of the automaton, named by the RFC's abbreviation.
type action uint8

const (
	noAction action = iota
	tlu             // this-layer-up
	tld             // this-layer-down
	tls             // this-layer-started
	tlf             // this-layer-finished
	irc             // initialize-restart-count
	zrc             // zero-restart-count
	scr             // send-configure-request
	sca             // send-configure-ack
	scn             // send-configure-nak or -reject
	str             // send-terminate-request
	sta             // send-terminate-ack
	scj             // send-code-reject
	ser             // send-echo-reply
)

// transition is one cell of the table. The zero transition is the table's "-":
// the event cannot happen in that state.
type transition struct {
	possible bool
	next     state
	actions  [3]action
}

func to(next state, actions ...action) transition {
	t := transition{possible: true, next: next}
	copy(t.actions[:], actions)
	return t
}

// transitions is the table of RFC 1661, section 4.1, with a row for each event and a
// column for each state. The restart option [r] and the passive option [p] are not
// implemented; crossed connections [x] are handled as in the table.
var transitions = [triggerCount][opened + 1]transition{
	evUp:          {initial: to(2), starting: to(6, irc, scr)},
	evDown:        {closed: to(0), stopped: to(1, tls), closing: to(0), stopping: to(1), reqSent: to(1), ackRcvd: to(1), ackSent: to(1), opened: to(1, tld)},
	evOpen:        {to(1, tls), to(1), to(6, irc, scr), to(3), to(5), to(5), to(6), to(7), to(8), to(9)},
	evClose:       {to(0), to(0, tlf), to(2), to(2), to(4), to(4), to(4, irc, str), to(4, irc, str), to(4, irc, str), to(4, tld, irc, str)},
	evTimeout:     {closing: to(4, str), stopping: to(5, str), reqSent: to(6, scr), ackRcvd: to(6, scr), ackSent: to(8, scr)},
	evGiveUp:      {closing: to(2, tlf), stopping: to(3, tlf), reqSent: to(3, tlf), ackRcvd: to(3, tlf), ackSent: to(3, tlf)},
	evRequestGood: {closed: to(2, sta), stopped: to(8, irc, scr, sca), closing: to(4), stopping: to(5), reqSent: to(8, sca), ackRcvd: to(9, sca, tlu), ackSent: to(8, sca), opened: to(8, tld, scr, sca)},
	evRequestBad:  {closed: to(2, sta), stopped: to(6, irc, scr, scn), closing: to(4), stopping: to(5), reqSent: to(6, scn), ackRcvd: to(7, scn), ackSent: to(6, scn), opened: to(6, tld, scr, scn)},
	evAck:         {closed: to(2, sta), stopped: to(3, sta), closing: to(4), stopping: to(5), reqSent: to(7, irc), ackRcvd: to(6, scr), ackSent: to(9, irc, tlu), opened: to(6, tld, scr)},
	evNak:         {closed: to(2, sta), stopped: to(3, sta), closing: to(4), stopping: to(5), reqSent: to(6, irc, scr), ackRcvd: to(6, scr), ackSent: to(8, irc, scr), opened: to(6, tld, scr)},
	evTermRequest: {closed: to(2, sta), stopped: to(3, sta), closing: to(4, sta), stopping: to(5, sta), reqSent: to(6, sta), ackRcvd: to(6, sta), ackSent: to(6, sta), opened: to(5, tld, zrc, sta)},
	evTermAck:     {closed: to(2), stopped: to(3), closing: to(2, tlf), stopping: to(3, tlf), reqSent: to(6), ackRcvd: to(6), ackSent: to(8), opened: to(6, tld, scr)},
	evUnknownCode: {closed: to(2, scj), stopped: to(3, scj), closing: to(4, scj), stopping: to(5, scj), reqSent: to(6, scj), ackRcvd: to(7, scj), ackSent: to(8, scj), opened: to(9, scj)},
	evRejectGood:  {closed: to(2), stopped: to(3), closing: to(4), stopping: to(5), reqSent: to(6), ackRcvd: to(6), ackSent: to(8), opened: to(9)},
	evRejectBad:   {closed: to(2, tlf), stopped: to(3, tlf), closing: to(2, tlf), stopping: to(3, tlf), reqSent: to(3, tlf), ackRcvd: to(3, tlf), ackSent: to(3, tlf), opened: to(5, tld, irc, str)},
	evEcho:        {closed: to(2), stopped: to(3), closing: to(4), stopping: to(5), reqSent: to(6), ackRcvd: to(7), ackSent: to(8), opened: to(9, ser)},
}
