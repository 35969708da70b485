package dataplane

import (
	"bytes"
	"sync"
	"time"
)

// While a view is muted, the packets of its users wait in the slot: a client that renewed
// its keys deletes the old pair before it has used the new one, and until it has, nobody
// knows whose pair that is. At full speed that is thousands of packets within a few
// milliseconds, so they never pass through the connection's inbox. They leave in order,
// and before any newer packet.

const (
	// maxHeld are the bytes that wait in one slot, and maxHeldAll those in all of them.
	maxHeld    = 1 << 20
	maxHeldAll = 32 << 20
	heldCost   = 64 // bytes that a packet costs beside its own
)

// held is what waits in a slot. Workers add to it.
type held struct {
	mu      sync.Mutex // also held while a view without holds replaces one with it
	packets []heldPacket
	bytes   int
}

// heldPacket is an IP packet on its way to a session.
type heldPacket struct {
	session *Session
	b       []byte
}

// holding is what became of a packet that was to wait.
type holding uint8

const (
	holdsIt     holding = iota // it waits
	holdsOthers                // there is no room
	holdsNone                  // nothing waits any more: it has a way
)

// hold has a packet wait for a view that lets it go. The packet is borrowed for the call.
func (s *Slot) hold(to *Session, b []byte) holding {
	size := len(b) + heldCost
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	if v := s.view.Load(); v == nil || !v.holds {
		return holdsNone
	}
	if s.held.bytes+size > maxHeld {
		return holdsOthers
	}
	if s.plane.held.Add(int64(size)) > maxHeldAll {
		s.plane.held.Add(-int64(size))
		return holdsOthers
	}
	s.held.bytes += size
	s.held.packets = append(s.held.packets, heldPacket{to, bytes.Clone(b)})
	return holdsIt
}

// replace makes l the view. It holds packets if it is muted, or if some wait. No packet can come
// to wait in between, which nothing would release.
func (s *Slot) replace(l *live) {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	l.holds = l.Muted || len(s.held.packets) > 0
	s.view.Store(l)
}

// take returns what waits. If that is nothing, the view lets everything go from now on.
func (s *Slot) take() []heldPacket {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	packets := s.held.packets
	s.plane.held.Add(-int64(s.held.bytes))
	s.held.packets, s.held.bytes = nil, 0
	if v := s.view.Load(); len(packets) == 0 && v != nil {
		open := *v
		open.holds = false
		s.view.Store(&open)
	}
	return packets
}

// release sends what waits, and then lets everything go. Meanwhile newer packets wait
// behind it.
func (s *Slot) release() {
	p := s.plane
	p.releasing.Lock()
	defer p.releasing.Unlock()
	if p.releaser == nil {
		p.releaser = newTransmitter(p, 0, nil, p.control)
		p.releaser.releases = true
	}
	for packets := s.take(); len(packets) > 0; packets = s.take() {
		p.releaser.let(s, packets)
	}
}

// let sends packets of a slot that waited.
func (x *transmitter) let(s *Slot, packets []heldPacket) {
	defer x.rescue(len(packets))
	x.now = time.Now().UnixNano()
	for _, p := range packets {
		net, view := p.session.network.Load(), s.view.Load()
		if net == nil || view == nil || view.Out == nil {
			x.tally.drop(DropNoPath, 1)
			continue
		}
		it := item{slot: s, session: p.session, b: p.b}
		if mtu := view.mtuOf(p.session, net); len(p.b) > mtu {
			it.mtu = mtu // it is less than it was when the packet came
		}
		x.push(it)
	}
	x.flush()
}
