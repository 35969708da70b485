package crowd

import "net/netip"

// SourceOf is the source by which limits count: an IPv4 address or an IPv6 /64.
func SourceOf(a netip.Addr) netip.Prefix { return OriginOf(a).Source() }

// Origin is the set of prefixes by which an address is counted, widest first. A household
// with IPv6 has a /56 or a /48 with up to 65,536 networks (RFC 6177); somebody with many
// IPv4 addresses often has adjacent ones.
type Origin [3]netip.Prefix

// OriginOf is the origin of an address.
func OriginOf(a netip.Addr) (o Origin) {
	a = a.Unmap().WithZone("")
	bits := [len(o)]int{48, 56, 64}
	if a.Is4() {
		bits = [len(o)]int{24, 32, 32}
	}
	for i, n := range bits {
		o[i], _ = a.Prefix(n) // without an address, the zero prefix: these all count as one
	}
	return o
}

// Source is the narrowest of the prefixes.
func (o Origin) Source() netip.Prefix { return o[len(o)-1] }

// Census counts by origin, for each of its prefixes.
type Census map[netip.Prefix]int

// Add counts n more, or fewer if n is negative.
func (c Census) Add(o Origin, n int) {
	for i, p := range o {
		if i > 0 && p == o[i-1] {
			continue
		}
		if c[p] += n; c[p] <= 0 {
			delete(c, p)
		}
	}
}

// Of is how many each prefix of an origin has, widest first.
func (c Census) Of(o Origin) [3]int {
	return [3]int{c[o[0]], c[o[1]], c[o[2]]}
}
