package udptest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Datagram is one datagram as it is on its way.
type Datagram struct {
	Src, Dst netip.AddrPort
	Data     []byte
}

// Policy is what the network does to datagrams. Chances are between 0 and 1.
type Policy struct {
	Loss      float64
	Duplicate float64

	// A datagram takes Delay and up to Jitter more. Without Jitter datagrams
	// stay in order.
	Delay, Jitter time.Duration

	// Drop is asked for every datagram, after NAT, and drops it by returning
	// true. It must not call the network, nor keep or change the data.
	Drop func(Datagram) bool
}

// Net is a network. New makes one.
type Net struct {
	mu     sync.Mutex
	rand   *rand.Rand
	policy Policy
	hosts  map[netip.Addr]*Host // public addresses
	nats   map[netip.Addr]*NAT
	late   []late
}

// late is a datagram that is on its way.
type late struct {
	Datagram
	from *Host
	due  time.Time
}

// New returns a network that delivers everything at once.
func New(seed uint64) *Net {
	return &Net{
		rand:  rand.New(rand.NewPCG(seed, seed)),
		hosts: map[netip.Addr]*Host{},
		nats:  map[netip.Addr]*NAT{},
	}
}

// SetPolicy changes what happens to datagrams sent from now on.
func (n *Net) SetPolicy(p Policy) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.policy = p
}

// Host adds a host with public addresses.
func (n *Net) Host(addrs ...string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &Host{net: n}
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		if n.hosts[a] != nil || n.nats[a] != nil {
			panic(fmt.Sprintf("udptest: %v is taken", a))
		}
		h.addrs = append(h.addrs, a)
		n.hosts[a] = h
	}
	return h
}

// send takes a datagram that left a host. The network's lock is held.
func (n *Net) send(from *Host, d Datagram) {
	d.Data = bytes.Clone(d.Data)
	for nat := from.nat; nat != nil && !nat.inside(d.Dst.Addr()); nat = nat.outer {
		d.Src = nat.outbound(d.Src, d.Dst)
	}
	p := n.policy
	if p.Drop != nil && p.Drop(d) || n.rand.Float64() < p.Loss {
		return
	}
	copies := 1
	if n.rand.Float64() < p.Duplicate {
		copies = 2
	}
	for range copies {
		delay := p.Delay
		if p.Jitter > 0 {
			delay += time.Duration(n.rand.Int64N(int64(p.Jitter)))
		}
		if delay <= 0 {
			n.arrive(from, d)
			continue
		}
		n.late = append(n.late, late{d, from, time.Now().Add(delay)})
		time.AfterFunc(delay, n.release)
	}
}

// release lets everything arrive that is due, in order: timers that are due at the same
// time fire in any order.
func (n *Net) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	slices.SortStableFunc(n.late, func(a, b late) int { return a.due.Compare(b.due) })
	for len(n.late) > 0 && !n.late[0].due.After(now) {
		d := n.late[0]
		n.late = n.late[1:]
		n.arrive(d.from, d.Datagram)
	}
}

// arrive hands a datagram to the host that has its destination now.
func (n *Net) arrive(from *Host, d Datagram) {
	addr := d.Dst.Addr()
	for nat := from.nat; nat != nil; nat = nat.outer {
		if nat.inside(addr) {
			nat.inward(d)
			return
		}
	}
	if nat := n.nats[addr]; nat != nil {
		nat.arrive(d)
		return
	}
	if h := n.hosts[addr]; h != nil {
		h.deliver(d)
	}
}
