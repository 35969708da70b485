package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

// What one DHCP option carries (RFC 2132, section 2; RFC 3442).
const (
	maxRouteBytes = 255
	maxDomain     = 64
)

// maxRoutes6 routes of 24 bytes leave room for everything else in a Router Advertisement
// of the least MTU.
const maxRoutes6 = 32

// validateSettings checks what clients are told, of the network, a group or a
// user.
func validateSettings(dns []netip.Addr, routes []netip.Prefix, domain string, fail func(field, format string, args ...any)) {
	count := map[bool]int{}
	for i, a := range dns {
		switch {
		case !a.IsValid(): // it cannot be read
			continue
		case a.Zone() != "":
			fail(fmt.Sprintf("dns[%d]", i), `"%v" is not an IP address: it has a zone, which clients do not know`, a)
			continue
		}
		if count[a.Is4()]++; count[a.Is4()] == 3 {
			fail("dns", "clients take at most two name servers of IPv4 and two of IPv6")
		}
	}
	validateRoutes(routes, fail)
	if !isDomain(domain) {
		fail("domain", "%q is not one domain such as \"corp.example.com\", of at most %d characters", domain, maxDomain)
	}
}

// validateRoutes checks networks for split tunnelling: all of IPv4 have to fit into one
// DHCP option, a byte of length, the network's significant bytes, and four of a
// router each.
func validateRoutes(routes []netip.Prefix, fail func(field, format string, args ...any)) {
	bytes, six := 0, 0
	for i, p := range routes {
		switch {
		case !p.IsValid(): // it cannot be read
		case p.Bits() == 0:
			fail(fmt.Sprintf("routes[%d]", i), `"%v" is everything: leave routes empty for that`, p)
		case p != p.Masked():
			fail(fmt.Sprintf("routes[%d]", i), `"%v" has bits behind the prefix: write %v`, p, p.Masked())
		case p.Addr().Is6():
			six++
		default:
			bytes += 1 + (p.Bits()+7)/8 + 4
		}
	}
	if six > maxRoutes6 {
		fail("routes", "%d IPv6 networks are more than the %d that a Router Advertisement has room for", six, maxRoutes6)
	}
	if bytes > maxRouteBytes {
		fail("routes", "%d networks take %d bytes of the %d that a DHCP option has, which is room for 31 networks of /24: name larger ones", len(routes), bytes, maxRouteBytes)
	}
}

// isDomain reports whether s is empty or one domain name.
func isDomain(s string) bool {
	if s == "" {
		return true
	}
	if len(s) > maxDomain {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
