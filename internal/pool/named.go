package pool

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"slices"
)

// ErrUnknown means that no pool has the name.
var ErrUnknown = errors.New("there is no [[pool]] of that kind with the name")

// Add gives the pool another one, which is leased of by its name alone. Both lease the same:
// addresses, or prefixes of one length. Call it before anything is leased.
func (p *Pool) Add(name string, other *Pool) {
	if p.named == nil {
		p.named = map[string]*Pool{}
	}
	p.named[name] = other
}

// Named calls f for each pool that was added, in the order of names.
func (p *Pool) Named(f func(name string, of *Pool)) {
	for _, name := range slices.Sorted(maps.Keys(p.named)) {
		f(name, p.named[name])
	}
}

// LeaseOf is Lease of the pool with a name, "" for p itself. A static address is leased of
// the pool that it belongs to, whatever its name, or of p.
func (p *Pool) LeaseOf(name, user string, static netip.Addr) (netip.Addr, error) {
	from := p
	switch {
	case static.IsValid():
		from = p.holder(static)
	case name != "":
		if from = p.named[name]; from == nil {
			return netip.Addr{}, fmt.Errorf("%w %.64q", ErrUnknown, name)
		}
	}
	a, err := from.Lease(user, static)
	if errors.Is(err, ErrExhausted) && name != "" {
		err = fmt.Errorf("the pool %.64q: %w", name, err)
	}
	return a, err
}

// holder is the pool that an address belongs to: p, if it is none's.
func (p *Pool) holder(a netip.Addr) *Pool {
	for _, other := range p.named {
		if other.has(a) {
			return other
		}
	}
	return p
}

// Used is how many addresses, or prefixes, of the pool somebody has, without those of pools that
// were added, and of how many. What is reserved for the server is in neither.
func (p *Pool) Used() (used int, of float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.leased {
		if p.has(a) {
			used++
		}
	}
	return max(0, used-p.kept), max(0, p.Size()-float64(p.kept))
}

// Size is how many addresses, or prefixes, the space has.
func (s Space) Size() float64 {
	all := new(big.Int)
	for _, r := range s.ranges {
		n := new(big.Int).SetBytes(r.Last.AsSlice())
		n.Sub(n, new(big.Int).SetBytes(r.First.AsSlice()))
		if s.bits > 0 {
			n.Rsh(n, uint(r.First.BitLen()-s.bits))
		}
		all.Add(all, n.Add(n, big.NewInt(1)))
	}
	f, _ := new(big.Float).SetInt(all).Float64()
	return f
}

// IsZero reports whether there is nothing.
func (s Space) IsZero() bool { return len(s.ranges) == 0 }

// has reports whether an address is one of the space's, or in a prefix of it.
func (s Space) has(a netip.Addr) bool {
	return slices.ContainsFunc(s.ranges, func(r Range) bool { return !a.Less(r.First) && !lastAddr(s.Of(r.Last)).Less(a) })
}

// With is a space together with another one, of single addresses or prefixes of the same
// length.
func (s Space) With(other Space) Space {
	if len(s.ranges) == 0 {
		return other
	}
	if len(other.ranges) == 0 {
		return s
	}
	return Space{append(s.ranges[:len(s.ranges):len(s.ranges)], other.ranges...), s.bits}
}

// Without is what is left of a space without some addresses.
func (s Space) Without(taken ...Range) Space {
	left := slices.Clone(s.ranges)
	for _, t := range taken {
		var next []Range
		for _, r := range left {
			if t.Last.Less(r.First) || lastAddr(s.Of(r.Last)).Less(t.First) || t.First.Is4() != r.First.Is4() {
				next = append(next, r)
				continue
			}
			if first := s.Of(t.First).Masked().Addr(); r.First.Less(first) {
				next = append(next, Range{r.First, s.Of(first.Prev()).Masked().Addr()})
			}
			if first := s.after(s.Of(t.Last).Masked().Addr()); first.IsValid() && !r.Last.Less(first) {
				next = append(next, Range{first, r.Last})
			}
		}
		left = next
	}
	return Space{left, s.bits}
}

// Reserve makes the pool, and those added to it, lease no address of these ranges but to who
// names it. Existing leases stay.
func (p *Pool) Reserve(ranges ...Range) {
	p.mu.Lock()
	p.fresh = p.Without(ranges...)
	p.begin()
	p.mu.Unlock()
	for _, other := range p.named {
		other.Reserve(ranges...)
	}
}

// begin puts the search for a fresh address at the first.
func (p *Pool) begin() {
	p.next = cursor{}
	if len(p.fresh.ranges) > 0 {
		p.next.index = p.fresh.ranges[0].First
	}
}
