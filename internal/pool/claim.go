package pool

import (
	"net/netip"
	"slices"
)

// Claim is the address, or the prefix by its first address, that a user had
// last and gets again.
type Claim struct {
	User string
	Addr netip.Addr
}

// Claims are all claims, by address.
func (p *Pool) Claims() []Claim {
	p.mu.Lock()
	list := make([]Claim, 0, len(p.sticky))
	for user, a := range p.sticky {
		list = append(list, Claim{user, a})
	}
	p.mu.Unlock()
	slices.SortFunc(list, func(a, b Claim) int { return a.Addr.Compare(b.Addr) })
	return list
}

// Restore adds the claims of an earlier pool. Those for what this one does not
// lease are passed over.
func (p *Pool) Restore(list []Claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		if p.leases(c.Addr) && !p.leased[c.Addr] {
			p.remember(c.User, c.Addr)
		}
	}
}

// leases reports whether an address is one that the pool leases by itself.
func (p *Pool) leases(a netip.Addr) bool {
	if !a.IsValid() || p.Of(a).Masked().Addr() != a {
		return false
	}
	return slices.ContainsFunc(p.ranges, func(r Range) bool { return !a.Less(r.First) && !r.Last.Less(a) })
}

// Changed receives when a claim has changed since the last element was taken.
func (p *Pool) Changed() <-chan struct{} { return p.changed }
