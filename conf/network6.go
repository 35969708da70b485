package conf

import (
	"fmt"
	"net/netip"
)

// minMTU6 is the least that every IPv6 link carries (RFC 8200, section 5).
const minMTU6 = 1280

// leastBits6 is how long an IPv6 network is at least: no provider gives more.
const leastBits6 = 16

// HasIPv6 reports whether clients get IPv6.
func (n *Network) HasIPv6() bool { return len(n.Pool6) > 0 }

// validateNetwork6 checks IPv6 for clients.
func validateNetwork6(d *decoder, n *Network) {
	if !n.HasIPv6() {
		if n.Delegate6.IsValid() {
			d.fail("network.delegate6", "needs network.pool6, from which the links have their addresses")
		}
		if n.Masquerade6 {
			d.fail("network.masquerade6", "needs network.pool6: there is no IPv6 to hide")
		}
		return
	}
	if n.Mode == TAP {
		d.fail("network.pool6", `IPv6 needs mode = "tun": on an office network nobody would answer for the clients' addresses`)
	}
	if n.MTU < minMTU6 {
		d.fail("network.pool6", "IPv6 needs network.mtu of at least %d, not %d", minMTU6, n.MTU)
	}
	var all []netip.Prefix
	for i, p := range n.Pool6 {
		key := fmt.Sprintf("network.pool6[%d]", i)
		if !validateNetworkOf6(d, key, p, 126) {
			continue
		}
		if len(all) > 0 && (all[0].Bits() < 64) != (p.Bits() < 64) {
			d.fail(key, "\"%v\" gives single addresses and %v a /64 to each session, or the other way round: name networks of one kind", p, all[0])
		}
		all = disjoint(d, key, p, all)
	}
	if p := n.Delegate6; validateNetworkOf6(d, "network.delegate6", p, 63) {
		disjoint(d, "network.delegate6", p, all)
		if n.Delegate6Bits <= p.Bits() || n.Delegate6Bits > 64 {
			d.fail("network.delegate6_bits", "%d is not between %d and 64: %v is divided into prefixes of that length", n.Delegate6Bits, p.Bits()+1, p)
		}
	}
}

// validateNetworkOf6 checks a network of at most so many bits, and reports whether there
// is one that is right.
func validateNetworkOf6(d *decoder, key string, p netip.Prefix, most int) bool {
	switch {
	case !p.IsValid(): // there is none, or it cannot be read
		return false
	case p != p.Masked():
		d.fail(key, `"%v" has bits behind the prefix: write %v`, p, p.Masked())
	case !p.Addr().IsGlobalUnicast():
		d.fail(key, `"%v" is not of addresses that hosts can have`, p)
	case p.Bits() < leastBits6 || p.Bits() > most:
		d.fail(key, `"%v" is not between /%d and /%d`, p, leastBits6, most)
	default:
		return true
	}
	return false
}

func disjoint(d *decoder, key string, p netip.Prefix, all []netip.Prefix) []netip.Prefix {
	for _, o := range all {
		if o.Overlaps(p) {
			d.fail(key, "%v overlaps %v", p, o)
		}
	}
	return append(all, p)
}
