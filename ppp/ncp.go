package ppp

import (
	"fmt"
	"net/netip"
	"time"
)

// ncpState is the state that every network control protocol has.
type ncpState struct {
	automaton automaton
	on        bool // negotiated at all; otherwise the protocol gets a Protocol-Reject
	up        bool // the network is up, and the driver has been told
	failed    bool // refused or ended; the link continues with the other network
}

// control is a layer of the Network phase: IPCP, IPV6CP or CCP.
type control interface {
	layer
	common() *ncpState
	begin()        // clears what an earlier negotiation agreed
	closed() Event // the event when it is no longer open
}

// ncp is a layer that makes a network: IPCP or IPV6CP.
type ncp interface {
	control
	opened() Event          // the event when it opens; nil if what was agreed is not a network
	carries(ip []byte) bool // whether an open peer may have sent this packet
}

// ncps are the network control protocols, whether negotiated or not. Returning the array
// allocates nothing.
func (l *Link) ncps() [2]ncp { return [2]ncp{ipcp{l}, ipv6cp{l}} }

// controls yields the layers of the Network phase, whether negotiated or not: those of
// networks, and CCP where the configuration has compression.
func (l *Link) controls(yield func(control) bool) {
	if yield(ipcp{l}) && yield(ipv6cp{l}) && l.s.ccp != nil {
		yield(ccp{l})
	}
}

// startNetwork enters the Network phase.
func (l *Link) startNetwork(now time.Time, four Network, six Network6) {
	l.s.phase = phaseNetwork
	l.s.network = now.Add(networkTimeout)
	l.s.ipcp.on, l.s.ipcp.network, l.s.ipcp.dns = true, four, [2]netip.Addr{}
	copy(l.s.ipcp.dns[:], four.DNS)
	l.s.ipv6cp.on, l.s.ipv6cp.network = six.On, six
	l.s.ccp = nil
	if len(l.env.Config.Compression) > 0 {
		l.s.ccp = &ccpState{ncpState: ncpState{on: true}}
	}
	for y := range l.controls {
		s := y.common()
		s.failed = false
		s.automaton.forget()
		y.begin()
		if !s.on {
			continue
		}
		if y.protocol() != ProtocolIPCP && !l.env.Config.Client {
			// This is the passive option of RFC 1661, section 4.3.1: not every client has
			// IPv6 or compression, and those that have it begin the negotiation.
			s.automaton.state = stopped
			continue
		}
		l.fire(now, y, evOpen, stimulus{})
		l.fire(now, y, evUp, stimulus{})
	}
}

// ncpUp is This-Layer-Up of a network control protocol: packets may flow.
func (l *Link) ncpUp(y ncp) {
	s := y.common()
	e := y.opened()
	if e == nil {
		return
	}
	s.up, s.failed = true, false
	l.s.network = time.Time{}
	l.emit(e)
}

// ncpDown is This-Layer-Down of a network control protocol. A link without any network
// gets some time to open one.
func (l *Link) ncpDown(now time.Time, y ncp) {
	s := y.common()
	if s.up {
		s.up = false
		l.emit(y.closed())
	}
	s.automaton.forget()
	y.begin()
	if !l.networked() {
		l.s.network = now.Add(networkTimeout)
	}
}

// networked reports whether any network is up.
func (l *Link) networked() bool { return l.s.ipcp.up || l.s.ipv6cp.up }

// ncpFinished is This-Layer-Finished of a network control protocol. A link without any
// network protocol is useless and ends; a link that has another one continues.
func (l *Link) ncpFinished(now time.Time, y ncp, t trigger) {
	s := y.common()
	s.failed = true
	if name := ProtocolName(y.protocol()); s.automaton.why == "" {
		switch {
		case t == evGiveUp && s.automaton.state != closed:
			s.automaton.why = name + ": " + silence(&s.automaton)
		case t == evRejectBad:
			s.automaton.why = name + ": rejected by the peer"
		default:
			s.automaton.why = name + ": terminated by the peer"
		}
	}
	for _, other := range l.ncps() {
		if o := other.common(); o.on && !o.failed {
			if s.automaton.state.timed() { // it did not converge: stop negotiating it
				l.fire(now, y, evClose, stimulus{})
			}
			return
		}
	}
	if l.s.why == 0 {
		l.s.detail = s.automaton.why
	}
	l.Close(now, ReasonNoNetwork)
}

// unreached says why there is no network when the time for one is over.
func (l *Link) unreached() string {
	for _, y := range l.ncps() {
		if why := y.auto().why; why != "" {
			return why
		}
	}
	return fmt.Sprintf("none is up after %v", networkTimeout)
}

// takeData treats an IP packet of the peer as the Ack of our own Configure-Request while
// we await that Ack.
//
// Deviation: RFC 1661 has no such event. Only an open peer sends IP, and it is open only
// if it has acknowledged our request, so the Ack was lost. Repeating the request would
// take the peer's open layer down.
func (l *Link) takeData(now time.Time, protocol uint16, info []byte) {
	y := ncp(ipcp{l})
	if protocol == ProtocolIPv6 {
		y = ipv6cp{l}
	}
	a := y.auto()
	// Right after our Ack, the packet may be a delayed one from before this negotiation.
	if a.state != ackSent || a.answered || now.Sub(a.ackedAt) < min(l.lost(), nudgeAfter) || !y.carries(info) {
		return
	}
	l.note(NoteDataForAck, y.protocol(), 0)
	a.answered = true
	l.fire(now, y, evAck, stimulus{})
}
