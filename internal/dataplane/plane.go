package dataplane

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/adit-vpn/adit/ipsec"
)

// Plane is the data path. Its methods may be called from any goroutine, those
// of a Slot from the goroutine of its connection.
type Plane struct {
	cfg    Config
	slots  []atomic.Pointer[Slot] // by the low bits of an inbound SPI
	routes routes

	workers []worker // one a socket, one a device queue
	tallies []*tally // the control side's, and one of each worker
	control *tally
	senders sync.Pool // of *sender
	shapers sync.Pool // of *transmitter, for what waited for its time
	rooms   sync.Pool // of *room

	used   atomic.Uint32 // slots that were ever taken; it grows under mu
	copies limiter       // of packets to everybody
	held   atomic.Int64  // bytes that wait in slots

	releasing sync.Mutex
	releaser  *transmitter // sends what was held, under releasing; nil until it is needed

	mu   sync.Mutex // guards what follows, and changes of slots and routes
	rest []resting

	ports  []*Port
	closed bool // and no port begins
}

// worker handles packets on one goroutine until its source is closed.
type worker interface{ run() error }

// New returns a Plane that Run has yet to start.
func New(c Config) (*Plane, error) {
	if len(c.Workers) == 0 || c.Device == nil || c.Control == nil {
		return nil, errors.New("dataplane: no worker, no device or no control")
	}
	if queues := len(c.Device.Queues()); queues != len(c.Workers) {
		return nil, fmt.Errorf("dataplane: %d workers and %d device queues", len(c.Workers), queues)
	}
	if c.Slots <= 0 || c.Slots > maxSlots {
		c.Slots = maxSlots
	}
	if c.PathMTU <= 0 {
		c.PathMTU = DefaultPathMTU
	}
	p := &Plane{
		cfg:     c,
		slots:   make([]atomic.Pointer[Slot], min(maxSlots, c.Slots+c.Slots/8+leastSpare)),
		control: new(tally),
	}
	p.routes.init(c.Pools)
	p.tallies = []*tally{p.control}
	count := func() *tally {
		t := new(tally)
		p.tallies = append(p.tallies, t)
		return t
	}
	for i, queue := range c.Device.Queues() {
		for j := range c.Workers[i] {
			p.workers = append(p.workers, newReceiver(p, i, &c.Workers[i][j], queue, count()))
		}
		p.workers = append(p.workers, newTransmitter(p, i, queue, count()))
	}
	p.shapers.New = func() any { return newTransmitter(p, 0, nil, p.control) }
	p.rooms.New = func() any { return new(room) }
	p.senders.New = func() any { return &sender{sealer: ipsec.NewSealer(rand.Reader)} }
	return p, nil
}

// Slots is how many connections the plane is for.
func (p *Plane) Slots() int { return p.cfg.Slots }

// slot returns the slot that an inbound SPI leads to, or nil.
func (p *Plane) slot(spi uint32) *Slot {
	if i := spi & slotMask; int(i) < len(p.slots) {
		return p.slots[i].Load()
	}
	return nil
}

// Stats are what the whole data path carried.
type Stats struct {
	Counters
	IKE        uint64 // ISAKMP messages received
	Keepalives uint64 // NAT keepalives received
	Panics     uint64 // batches lost to one
}

// Stats returns what the data path has carried so far: IP packets.
func (p *Plane) Stats() Stats {
	var s Stats
	for _, t := range p.counts() {
		s.InPackets += t.in.packets.Load()
		s.InOctets += t.in.octets.Load()
		s.OutPackets += t.out.packets.Load()
		s.OutOctets += t.out.octets.Load()
		s.IKE += t.ike.Load()
		s.Keepalives += t.keepalives.Load()
		s.Panics += t.panics.Load()
	}
	return s
}

// counts are the tallies that there are.
func (p *Plane) counts() []*tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clip(p.tallies)
	for _, t := range p.ports {
		all = append(all, t.tally)
	}
	return all
}

// Drops returns how many packets were dropped, by Drop. It has NumDrops
// elements.
func (p *Plane) Drops() []uint64 {
	drops := make([]uint64, NumDrops)
	for _, t := range p.counts() {
		for i := range drops {
			drops[i] += t.drops[i].Load()
		}
	}
	return drops
}
