package ppp

import (
	"fmt"
	"net/netip"
	"time"
)

// ncpState is what every network control protocol has.
type ncpState struct {
	automaton automaton
	on        bool // negotiated at all; otherwise it is Protocol-Rejected
	up        bool // its network is up, and the driver knows
	failed    bool // refused or ended: the link lives by another
}

// ncp is a layer of the Network phase: IPCP or IPV6CP.
type ncp interface {
	layer
	common() *ncpState
	begin()                 // forget what an earlier negotiation found
	opened() Event          // it is open: what the driver is told, nil if that is no network
	closed() Event          // and when it is no longer
	carries(ip []byte) bool // whether a peer that is open may have sent the packet
}

// ncps are the network control protocols, on or not. They are few, and an
// array costs nothing.
func (l *Link) ncps() [2]ncp { return [2]ncp{ipcp{l}, ipv6cp{l}} }

// startNetwork enters the Network phase.
func (l *Link) startNetwork(now time.Time, four Network, six Network6) {
	l.s.phase = phaseNetwork
	l.s.network = now.Add(networkTimeout)
	l.s.ipcp.on, l.s.ipcp.network, l.s.ipcp.dns = true, four, [2]netip.Addr{}
	copy(l.s.ipcp.dns[:], four.DNS)
	l.s.ipv6cp.on, l.s.ipv6cp.network = six.On, six
	for _, y := range l.ncps() {
		s := y.common()
		s.failed = false
		s.automaton.forget()
		y.begin()
		if !s.on {
			continue
		}
		if y.protocol() == ProtocolIPV6CP && !l.env.Config.Client {
			// RFC 1661, section 4.3.1, the passive option: not every client has
			// IPv6, and those that have begin.
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

// ncpDown is its This-Layer-Down. A link without any network has some time to
// get one.
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

// ncpFinished is its This-Layer-Finished. A link without a network protocol
// serves nobody; one that has another lives on.
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
			if s.automaton.state.timed() { // it did not converge: no more of it
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

// takeData draws a conclusion from an IP packet of the peer's while we await
// the Ack of our own Configure-Request.
//
// Deviation: RFC 1661 has no such event. Only a peer that is open sends IP, and
// open it is only if it has acknowledged our request: the Ack was lost. To
// repeat the request would take the peer's open layer down.
func (l *Link) takeData(now time.Time, protocol uint16, info []byte) {
	y := ncp(ipcp{l})
	if protocol == ProtocolIPv6 {
		y = ipv6cp{l}
	}
	a := y.auto()
	// Right after our Ack the packet may be one from before this negotiation that
	// was overtaken.
	if a.state != ackSent || a.answered || now.Sub(a.ackedAt) < min(l.lost(), nudgeAfter) || !y.carries(info) {
		return
	}
	l.note(NoteDataForAck, y.protocol(), 0)
	a.answered = true
	l.fire(now, y, evAck, stimulus{})
}
