package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// Errors that callers tell apart.
var (
	// ErrExhausted means that every address is leased.
	ErrExhausted = errors.New("no address left in the pool")
	// ErrTaken means that a static address is leased already.
	ErrTaken = errors.New("address is in use by another session")
)

// stickyLimit bounds how many users' last addresses are remembered.
const stickyLimit = 1 << 16

// Pool leases addresses. The zero value leases only static ones.
type Pool struct {
	Space  // what is leased; it does not change
	named  map[string]*Pool
	mu     sync.Mutex
	fresh  Space // of Space, what is leased to who names no address
	next   cursor
	leased map[netip.Addr]bool // and what is reserved
	kept   int                 // reserved
	sticky map[string]netip.Addr
	owner  map[netip.Addr]string // reverse of sticky
	static map[netip.Addr]bool   // promised to somebody

	changed chan struct{} // is told when a claim has changed; nil: nobody is
}

// cursor is where the search for a fresh address goes on.
type cursor struct {
	at    int
	index netip.Addr
}

// New returns a pool of ranges less the reserved addresses, which are never
// leased: the server's own, a LAN's gateway.
func New(ranges []Range, reserved ...netip.Addr) *Pool {
	return Of(Addresses(ranges...), reserved...)
}

// Of returns a pool of a space, less what holds reserved addresses. A prefix is leased as its first
// address.
func Of(s Space, reserved ...netip.Addr) *Pool {
	p := &Pool{
		Space:  s,
		fresh:  s,
		leased: map[netip.Addr]bool{},
		sticky: map[string]netip.Addr{},
		owner:  map[netip.Addr]string{},
	}
	for _, a := range reserved {
		p.leased[s.Of(a).Masked().Addr()] = true
	}
	p.kept = len(p.leased)
	p.begin()
	return p
}

// Leases is what the pool leases, with those added to it.
func (p *Pool) Leases() Space {
	all := p.Space
	for _, other := range p.named {
		all = all.With(other.Space)
	}
	return all
}

// Promise reserves addresses that users have of their own: from now on only a Lease that
// names such an address leases it. Existing leases stay.
func (p *Pool) Promise(addrs []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.static = make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		p.static[a] = true
	}
	for _, other := range p.named {
		other.Promise(addrs)
	}
}

// Lease leases an address to user: static if it is valid, else the one that
// the user had last, else one that nobody had, else any that is free. Who had
// a static address by a lease gets another one: its user may come again.
func (p *Pool) Lease(user string, static netip.Addr) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if static.IsValid() {
		if p.leased[static] {
			return netip.Addr{}, fmt.Errorf("%v: %w", static, ErrTaken)
		}
		p.leased[static] = true
		if p.owner[static] != user && p.leases(static) {
			p.remember(user, static)
		}
		return static, nil
	}
	if a, ok := p.sticky[user]; ok && !p.leased[a] && !p.static[a] && p.fresh.has(a) {
		p.leased[a] = true
		return a, nil
	}
	a, ok := p.search(func(a netip.Addr) bool { return !p.leased[a] && p.owner[a] == "" })
	if !ok {
		a, ok = p.search(func(a netip.Addr) bool { return !p.leased[a] })
	}
	if !ok {
		return netip.Addr{}, ErrExhausted
	}
	p.leased[a] = true
	p.remember(user, a)
	return a, nil
}

// Release returns a leased address; the user keeps a claim to it.
func (p *Pool) Release(a netip.Addr) {
	if held := p.holder(a); held != p {
		held.Release(a)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.leased, a)
}

// InUse is how many addresses are leased or reserved.
func (p *Pool) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.leased)
}

// Leased is how many addresses somebody has, of the pools that were added, too.
func (p *Pool) Leased() int {
	n := p.InUse() - p.kept
	for _, other := range p.named {
		n += other.Leased()
	}
	return n
}

// search goes once round all ranges from the cursor.
func (p *Pool) search(free func(netip.Addr) bool) (netip.Addr, bool) {
	if len(p.fresh.ranges) == 0 {
		return netip.Addr{}, false
	}
	start := p.next
	for {
		a := p.next.index
		p.advance()
		if !p.static[a] && free(a) {
			return a, true
		}
		if p.next == start {
			return netip.Addr{}, false
		}
	}
}

func (p *Pool) advance() {
	if p.next.index != p.fresh.ranges[p.next.at].Last {
		p.next.index = p.after(p.next.index)
		return
	}
	p.next.at = (p.next.at + 1) % len(p.fresh.ranges)
	p.next.index = p.fresh.ranges[p.next.at].First
}

// remember makes a the address that user gets next time.
func (p *Pool) remember(user string, a netip.Addr) {
	if user == "" {
		return
	}
	if old, ok := p.sticky[user]; ok {
		delete(p.owner, old)
	}
	if last, ok := p.owner[a]; ok {
		delete(p.sticky, last)
	}
	if len(p.sticky) >= stickyLimit {
		for u, old := range p.sticky { // any will do: it only costs a preference
			delete(p.sticky, u)
			delete(p.owner, old)
			break
		}
	}
	p.sticky[user] = a
	p.owner[a] = user
	select {
	case p.changed <- struct{}{}:
	default: // it is said already
	}
}
