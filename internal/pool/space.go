package pool

import "net/netip"

// Range is a run of addresses, both ends included.
type Range struct{ First, Last netip.Addr }

// Space is what a pool leases: single addresses of ranges, or all prefixes of one
// length in them. The zero value is nothing.
type Space struct {
	ranges []Range
	bits   int // length of the prefixes; 0: single addresses
}

// Addresses is a space of single addresses.
func Addresses(ranges ...Range) Space { return Space{ranges: ranges} }

// Prefixes is the space of the prefixes of a length that networks have, each leased as
// its first address.
func Prefixes(bits int, networks ...netip.Prefix) Space {
	s := Space{bits: bits}
	for _, n := range networks {
		first := n.Masked().Addr()
		s.ranges = append(s.ranges, Range{first, netip.PrefixFrom(lastAddr(n.Masked()), bits).Masked().Addr()})
	}
	return s
}

// Of is the prefix that the lease of a stands for.
func (s Space) Of(a netip.Addr) netip.Prefix {
	if s.bits == 0 {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return netip.PrefixFrom(a, s.bits)
}

// Overlaps reports whether a network has addresses of the space.
func (s Space) Overlaps(n netip.Prefix) bool {
	for _, r := range s.ranges {
		if last := lastAddr(s.Of(r.Last)); n.Contains(r.First) || n.Contains(last) || !n.Addr().Less(r.First) && !last.Less(n.Addr()) {
			return true
		}
	}
	return false
}

// Admits reports whether a prefix can be somebody's own: it is one that could be leased,
// or none of its addresses is of the space.
func (s Space) Admits(n netip.Prefix) bool { return s.Of(n.Addr()) == n || !s.Overlaps(n) }

// after is the address one prefix further, or one address.
func (s Space) after(a netip.Addr) netip.Addr {
	if s.bits == 0 {
		return a.Next()
	}
	return lastAddr(netip.PrefixFrom(a, s.bits)).Next()
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
