package conf

import (
	"fmt"
	"net/netip"
)

// minMTU6 is the least that every IPv6 link carries (RFC 8200, section 5).
const minMTU6 = 1280

// HasIPv6 reports whether clients get IPv6.
func (n *Network) HasIPv6() bool { return len(n.Pool6) > 0 }

// validateNetwork6 checks IPv6 for clients.
func validateNetwork6(d *decoder, n *Network) {
	if !n.HasIPv6() {
		if n.Delegate6 != "" {
			d.fail("network.delegate6", "needs network.pool6, from which the links have their addresses")
		}
		if n.Masquerade6 {
			d.fail("network.masquerade6", "needs network.pool6: there is no IPv6 to hide")
		}
		return
	}
	if n.Mode == "tap" {
		d.fail("network.pool6", `IPv6 needs mode = "tun": on an office network nobody would answer for the clients' addresses`)
	}
	if n.MTU < minMTU6 {
		d.fail("network.pool6", "IPv6 needs network.mtu of at least %d, not %d", minMTU6, n.MTU)
	}
	var all []netip.Prefix
	for i, s := range n.Pool6 {
		key := fmt.Sprintf("network.pool6[%d]", i)
		p, ok := network6(d, key, s, 16, 126)
		if !ok {
			continue
		}
		if len(all) > 0 && (all[0].Bits() < 64) != (p.Bits() < 64) {
			d.fail(key, "%q gives single addresses and %v a /64 to each session, or the other way round: name networks of one kind", s, all[0])
		}
		all = disjoint(d, key, p, all)
	}
	if n.Delegate6 == "" {
		return
	}
	if p, ok := network6(d, "network.delegate6", n.Delegate6, 16, 63); ok {
		disjoint(d, "network.delegate6", p, all)
		if n.Delegate6Bits <= p.Bits() || n.Delegate6Bits > 64 {
			d.fail("network.delegate6_bits", "%d is not between %d and 64: %v is divided into prefixes of that length", n.Delegate6Bits, p.Bits()+1, p)
		}
	}
}

// network6 reads a network of so many bits.
func network6(d *decoder, key, s string, least, most int) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !p.Addr().Is6() || p.Addr().Is4In6():
		d.fail(key, `%q is not an IPv6 network such as "2001:db8:1::/48"`, s)
	case p != p.Masked():
		d.fail(key, "%q has bits behind the prefix: write %v", s, p.Masked())
	case !p.Addr().IsGlobalUnicast():
		d.fail(key, "%q is not of addresses that hosts can have", s)
	case p.Bits() < least || p.Bits() > most:
		d.fail(key, "%q is not between /%d and /%d", s, least, most)
	default:
		return p, true
	}
	return p, false
}

func disjoint(d *decoder, key string, p netip.Prefix, all []netip.Prefix) []netip.Prefix {
	for _, o := range all {
		if o.Overlaps(p) {
			d.fail(key, "%v overlaps %v", p, o)
		}
	}
	return append(all, p)
}

// validateUser6 checks a user's own IPv6.
func validateUser6(c *Config, u *User, fail func(field, format string, args ...any)) {
	if u.Address6 == "" && u.Prefix6 == "" && u.Delegated6 == "" {
		return
	}
	if !c.Network.HasIPv6() {
		for _, own := range []struct{ field, text string }{{"address6", u.Address6}, {"prefix6", u.Prefix6}, {"delegated6", u.Delegated6}} {
			if own.text != "" {
				fail(own.field, "does nothing without network.pool6, which gives clients IPv6")
			}
		}
		return
	}
	if a, err := netip.ParseAddr(u.Address6); u.Address6 != "" && (err != nil || !a.Is6() || !a.IsGlobalUnicast()) {
		fail("address6", "%q is not an IPv6 address", u.Address6)
	}
	for _, s := range c.Network.Pool6 {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			continue // said already
		}
		if a, err := netip.ParseAddr(u.Address6); err == nil && n.Bits() < 64 && n.Contains(a) {
			fail("address6", "%q is in a /64 that network.pool6, %v, may give to somebody else: set prefix6", u.Address6, n)
		}
		if p, err := netip.ParsePrefix(u.Prefix6); err == nil && n.Bits() >= 64 && n.Overlaps(p) {
			fail("prefix6", "%q holds addresses of network.pool6, %v, which others get: set address6", u.Prefix6, n)
		}
	}
	for _, p := range []struct {
		field, text string
		bits        [2]int
	}{{"prefix6", u.Prefix6, [2]int{64, 64}}, {"delegated6", u.Delegated6, [2]int{16, 64}}} {
		n, err := netip.ParsePrefix(p.text)
		switch {
		case p.text == "":
		case err != nil || !n.Addr().Is6() || n != n.Masked() || !n.Addr().IsGlobalUnicast():
			fail(p.field, `%q is not an IPv6 network such as "2001:db8:1:7::/64"`, p.text)
		case n.Bits() < p.bits[0] || n.Bits() > p.bits[1]:
			fail(p.field, "%q is no /%d", p.text, p.bits[1])
		}
	}
}
