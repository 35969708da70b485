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

// Range is a run of addresses, both ends included.
type Range struct{ First, Last netip.Addr }

// Pool leases addresses. The zero value leases only static ones.
type Pool struct {
	mu     sync.Mutex
	ranges []Range
	bits   int // length of the prefixes that are leased; 0: single addresses
	next   cursor
	leased map[netip.Addr]bool
	sticky map[string]netip.Addr
	owner  map[netip.Addr]string // reverse of sticky
	static map[netip.Addr]bool   // promised to somebody

	changed chan struct{} // has an element since a claim has changed
}

// cursor is where the search for a fresh address goes on.
type cursor struct {
	at    int
	index netip.Addr
}

// New returns a pool of ranges less the reserved addresses, which are never
// leased: the server's own, a LAN's gateway.
func New(ranges []Range, reserved ...netip.Addr) *Pool {
	p := &Pool{
		ranges: ranges,
		leased: map[netip.Addr]bool{},
		sticky: map[string]netip.Addr{},
		owner:  map[netip.Addr]string{},

		changed: make(chan struct{}, 1),
	}
	for _, a := range reserved {
		p.leased[a] = true
	}
	if len(ranges) > 0 {
		p.next = cursor{0, ranges[0].First}
	}
	return p
}

// NewPrefixes returns a pool of the prefixes of a length that networks have,
// each leased as its first address, less those that hold reserved addresses.
func NewPrefixes(networks []netip.Prefix, bits int, reserved ...netip.Addr) *Pool {
	var ranges []Range
	for _, n := range networks {
		last, _ := lastAddr(n.Masked()).Prefix(bits)
		ranges = append(ranges, Range{n.Masked().Addr(), last.Addr()})
	}
	p := New(ranges)
	p.bits = bits
	for _, a := range reserved {
		if own, err := a.Prefix(bits); err == nil {
			p.leased[own.Addr()] = true
		}
	}
	return p
}

// Of is the prefix that the lease of a stands for.
func (p *Pool) Of(a netip.Addr) netip.Prefix {
	if p.bits == 0 {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return netip.PrefixFrom(a, p.bits)
}

// Overlaps reports whether a network has addresses that the pool leases.
func (p *Pool) Overlaps(n netip.Prefix) bool {
	for _, r := range p.ranges {
		if last := lastAddr(p.Of(r.Last)); n.Contains(r.First) || n.Contains(last) || !n.Addr().Less(r.First) && !last.Less(n.Addr()) {
			return true
		}
	}
	return false
}

// Admits reports whether a prefix can be somebody's own: it is one that the
// pool could lease, or none of its addresses is the pool's.
func (p *Pool) Admits(n netip.Prefix) bool { return p.Of(n.Addr()) == n || !p.Overlaps(n) }

// after is the address one prefix further, or one address.
func (p *Pool) after(a netip.Addr) netip.Addr {
	if p.bits == 0 {
		return a.Next()
	}
	return lastAddr(netip.PrefixFrom(a, p.bits)).Next()
}

// Prefix is the range of a network's addresses without its network and
// broadcast address.
func Prefix(n netip.Prefix) Range {
	n = n.Masked()
	first, last := n.Addr(), lastAddr(n)
	if n.Addr().Is4() && n.Bits() < 31 {
		return Range{first.Next(), last.Prev()}
	}
	return Range{first, last}
}

// Broadcast is a network's last address.
func Broadcast(n netip.Prefix) netip.Addr { return lastAddr(n.Masked()) }

func lastAddr(n netip.Prefix) netip.Addr {
	b := n.Addr().AsSlice()
	for i := n.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Promise says which addresses are somebody's own: only Lease of just that
// address leases them from now on. Leases that there are stay.
func (p *Pool) Promise(addrs []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.static = make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		p.static[a] = true
	}
}

// Lease leases an address to user: static if it is valid, else the one that
// the user had last, else one that nobody had, else any that is free.
func (p *Pool) Lease(user string, static netip.Addr) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if static.IsValid() {
		if p.leased[static] {
			return netip.Addr{}, fmt.Errorf("%v: %w", static, ErrTaken)
		}
		p.leased[static] = true
		return static, nil
	}
	if a, ok := p.sticky[user]; ok && !p.leased[a] && !p.static[a] {
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

// search goes once round all ranges from the cursor.
func (p *Pool) search(free func(netip.Addr) bool) (netip.Addr, bool) {
	if len(p.ranges) == 0 {
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
	if p.next.index != p.ranges[p.next.at].Last {
		p.next.index = p.after(p.next.index)
		return
	}
	p.next.at = (p.next.at + 1) % len(p.ranges)
	p.next.index = p.ranges[p.next.at].First
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
