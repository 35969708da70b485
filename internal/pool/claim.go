package pool

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Claim is the address, or the prefix by its first address, that a user had
// last and gets again.
type Claim struct {
	User string
	Addr netip.Addr
}

// MarshalText implements encoding.TextMarshaler: the address, and the user's name in
// quotation marks.
func (c Claim) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%v %q", c.Addr, c.User), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Claim) UnmarshalText(text []byte) error {
	address, quoted, _ := strings.Cut(string(text), " ")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	user, err := strconv.Unquote(quoted)
	if err != nil {
		return fmt.Errorf("the user's name: %w", err)
	}
	*c = Claim{user, a}
	return nil
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

// Restore adds the claims of an earlier pool. Claims to addresses that this pool does not
// lease are ignored.
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
	return p.fresh.has(a)
}

// Report has the pool put an element into a channel of capacity 1 when a claim has changed.
// Call it before anything is leased.
func (p *Pool) Report(to chan struct{}) { p.changed = to }
