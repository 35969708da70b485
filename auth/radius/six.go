package radius

import (
	"errors"
	"net"
	"net/netip"

	"layeh.com/radius"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc6911"

	"github.com/adit-vpn/adit/auth"
)

// maxDNS6 is how many name servers of IPv6 a client is told, at most.
const maxDNS6 = 2

// grant6 reads what of IPv6 an Access-Accept grants (RFC 3162, RFC 4818, RFC
// 6911). Of attributes that may come several times, a link has room for one.
func grant6(reply *radius.Packet, g *auth.Grant) error {
	g.IPv6.Address, _ = address6(rfc6911.FramedIPv6Address_Get(reply))
	g.IPv6.Prefix = prefix6(rfc3162.FramedIPv6Prefix_Get(reply))
	g.IPv6.Delegated = prefix6(rfc4818.DelegatedIPv6Prefix_Get(reply))
	if id := rfc3162.FramedInterfaceID_Get(reply); len(id) == len(g.IPv6.Interface) {
		g.IPv6.Interface = [8]byte(id)
	}
	if servers, err := rfc6911.DNSServerIPv6Address_Gets(reply); err == nil {
		for _, ip := range servers[:min(len(servers), maxDNS6)] {
			if a, ok := address6(ip); ok {
				g.DNS = append(g.DNS, a)
			}
		}
	}
	// RFC 6911, section 3.3: "announced to the user by the NAS".
	if routes, err := rfc6911.RouteIPv6Information_Gets(reply); err == nil {
		for _, n := range routes {
			if p := prefix6(n); p.IsValid() {
				g.Split = append(g.Split, p)
			}
		}
	}
	texts, err := rfc3162.FramedIPv6Route_GetStrings(reply)
	if err != nil {
		return nil // there are none
	}
	for _, text := range texts {
		p, err := framedRoute(text)
		if err != nil {
			return err
		}
		g.Routes = append(g.Routes, p)
	}
	return nil
}

func address6(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	if !ok || !a.Is6() || a.IsUnspecified() {
		return netip.Addr{}, false
	}
	return a, true
}

// prefix6 is a prefix of an attribute, the zero Prefix if there is none.
func prefix6(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, ok := netip.AddrFromSlice(n.IP.To16())
	bits, size := n.Mask.Size()
	if !ok || size != 128 || a.IsUnspecified() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// addIPv6 adds what of IPv6 a session has to its accounting.
func addIPv6(p *radius.Packet, six *auth.IPv6) error {
	var errs []error
	if six.Interface != ([8]byte{}) {
		errs = append(errs, rfc3162.FramedInterfaceID_Add(p, net.HardwareAddr(six.Interface[:])))
	}
	if six.Address.IsValid() {
		errs = append(errs, rfc6911.FramedIPv6Address_Add(p, net.IP(six.Address.AsSlice())))
	}
	if six.Prefix.IsValid() {
		errs = append(errs, rfc3162.FramedIPv6Prefix_Add(p, ipNet(six.Prefix)))
	}
	if six.Delegated.IsValid() {
		errs = append(errs, rfc4818.DelegatedIPv6Prefix_Add(p, ipNet(six.Delegated)))
	}
	return errors.Join(errs...)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
