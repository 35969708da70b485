package dataplane

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/ipsec"
)

const (
	slotBits  = 20
	maxSlots  = 1 << slotBits
	slotMask  = maxSlots - 1
	spiGens   = 1 << (32 - slotBits)
	slotRests = 60 * time.Second
	// leastSpare is how many slots there are at least beyond Config.Slots: a connection that
	// makes room for another needs a moment to end.
	leastSpare = 16
)

// ErrFull says that every slot is taken.
var ErrFull = errors.New("dataplane: no slot is free")

// Slot is one connection's place in the data path: an index that its SPIs
// carry, and the view that packets are handled by.
//
// Its methods belong to the goroutine of its connection.
type Slot struct {
	plane *Plane
	index uint32
	gen   uint32
	inbox Inbox

	view       atomic.Pointer[live]
	learntPort atomic.Uint32 // inner source port of the last packet
	held       held          // packets of users that wait

	// The two directions run on different cores: what one of them writes all the
	// time is on no cache line that the other reads.
	_       [64]byte
	lastIn  atomic.Int64 // Unix nanoseconds of the last authentic packet
	packets limiter      // NotePacket
	moves   limiter      // NoteMoved
	_       [64]byte
	tooBig  limiter // ICMP
}

// resting is a slot index that is not used again before a time, so that late packets of
// its last user find no SA. If nothing else is free, it is used earlier: then they find
// SAs with other SPIs.
type resting struct {
	index, gen uint32
	until      time.Time
}

// NewSlot takes a free slot. It fails with ErrFull.
func (p *Plane) NewSlot(inbox Inbox) (*Slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &Slot{plane: p, inbox: inbox}
	switch {
	case len(p.rest) > 0 && !time.Now().Before(p.rest[0].until):
		p.reuse(s)
	case p.used.Load() < uint32(len(p.slots)):
		s.index = p.used.Add(1) - 1
	case len(p.rest) > 0:
		p.reuse(s)
	default:
		return nil, ErrFull
	}
	p.slots[s.index].Store(s)
	return s, nil
}

// reuse gives s the place that has rested longest. The caller holds the lock.
func (p *Plane) reuse(s *Slot) {
	s.index, s.gen = p.rest[0].index, p.rest[0].gen
	p.rest = p.rest[1:]
}

// Free gives the slot back, which then rests for a minute, if there are others. Packets for it are
// dropped from now on. Free of a free slot does nothing.
func (s *Slot) Free(now time.Time) {
	p := s.plane
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.slots[s.index].CompareAndSwap(s, nil) {
		return
	}
	s.view.Store(nil)
	p.control.drop(DropNoPath, len(s.take()))
	p.rest = append(p.rest, resting{s.index, s.gen, now.Add(slotRests)})
}

// NewSPI returns an inbound SPI that leads packets to this slot: a generation
// of 12 bits that is not 0, and the slot's 20 bits. The published view does not receive
// on it.
func (s *Slot) NewSPI() uint32 {
	for {
		s.gen++
		if s.gen == spiGens {
			s.gen = 1
		}
		spi := s.gen<<slotBits | s.index
		if v := s.view.Load(); v == nil || v.inbound(spi) == nil {
			return spi
		}
	}
}

// Publish makes v what packets are handled by, from the next batch on; nil
// lets nothing through. The caller must not change v afterwards. Packets of users that
// waited for a view which is not muted are sent before Publish returns.
func (s *Slot) Publish(v *View) {
	if v == nil {
		s.view.Store(nil)
		return
	}
	l := &live{View: v, mtu: MaxMTU, mtuSeq: MaxMTU, room: MaxMTU + headLenL2TP, sums: !v.Remote.Addr().Unmap().Is4()}
	if v.Out != nil {
		l.mtu = InnerMTU(s.plane.cfg.PathMTU, v.Remote.Addr(), v.Out.Suite(), false)
		l.mtuSeq = InnerMTU(s.plane.cfg.PathMTU, v.Remote.Addr(), v.Out.Suite(), true)
		l.room = min(l.room, v.Out.Suite().MaxPayload(s.plane.cfg.PathMTU-udpHeaderLen-ipHeaderLen(v.Remote.Addr())))
		l.truncates = v.Out.Suite().Auth == ipsec.HMACSHA256_128
	}
	s.replace(l)
	if l.holds && !v.Muted && v.Out != nil {
		s.release()
	}
}

// lock takes the lock of the outbound SA, for sealing and writing, and returns
// the view that it is of: nil if nothing can be sent. Once it returned, a
// Retire of that SA waits, so that nothing is lost when another replaces it.
func (s *Slot) lock() *live {
	for {
		view := s.view.Load()
		if view == nil || view.Out == nil {
			return nil
		}
		view.Out.Lock()
		if s.view.Load() == view {
			return view
		}
		view.Out.Unlock()
	}
}

// LastIn is when the last authentic packet came, of any kind, and the zero
// time if none did.
func (s *Slot) LastIn() time.Time { return unixNano(s.lastIn.Load()) }

// PeerPort is the inner UDP port that the last packet came from, 0 if none
// did.
func (s *Slot) PeerPort() uint16 { return uint16(s.learntPort.Load()) }

// limiter lets a burst of events through, and then one an interval. The zero
// value is ready to use.
type limiter struct{ next atomic.Int64 }

// allow reports whether an event at now (Unix nanoseconds) is within the rate.
func (l *limiter) allow(now int64, every time.Duration, burst int) bool {
	for {
		was := l.next.Load()
		t := max(was, now-int64(every)*int64(burst))
		if t > now-int64(every) {
			return false
		}
		if l.next.CompareAndSwap(was, t+int64(every)) {
			return true
		}
	}
}

// charge counts an event more, allowed or not: what follows pays for it.
func (l *limiter) charge(every time.Duration) { l.next.Add(int64(every)) }
