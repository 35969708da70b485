package app

import (
	"net/netip"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/vpn"
)

// prefixes6 are the networks of network.pool6, which conf has validated.
func prefixes6(c *conf.Config) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range c.Network.Pool6 {
		if p, err := netip.ParsePrefix(s); err == nil {
			list = append(list, p.Masked())
		}
	}
	return list
}

// ownAddress6 is the server's address in a network: the first behind that of
// all routers (RFC 4291, section 2.6.1).
func ownAddress6(n netip.Prefix) netip.Addr { return n.Addr().Next() }

// pools6 are what of IPv6 is leased: on links, and to routers.
func pools6(c *conf.Config) (links, routers *pool.Pool) {
	links, routers = pool.New(nil), pool.New(nil)
	var ranges []pool.Range
	var reserved []netip.Addr
	list := prefixes6(c)
	for _, n := range list {
		ranges = append(ranges, pool.Prefix(n))
		reserved = append(reserved, n.Addr(), ownAddress6(n))
	}
	switch {
	case len(list) == 0:
	case list[0].Bits() < 64:
		links = pool.NewPrefixes(list, 64, reserved...)
	default:
		links = pool.New(ranges, reserved...)
	}
	if n, err := netip.ParsePrefix(c.Network.Delegate6); err == nil {
		routers = pool.NewPrefixes([]netip.Prefix{n}, c.Network.Delegate6Bits)
	}
	return links, routers
}

// networks6 are the networks whose addresses are clients'.
func networks6(c *conf.Config) []vpn.Network {
	var list []vpn.Network
	for _, n := range prefixes6(c) {
		list = append(list, vpn.Network{Prefix: n, Server: ownAddress6(n)})
	}
	if n, err := netip.ParsePrefix(c.Network.Delegate6); err == nil {
		list = append(list, vpn.Network{Prefix: n, Server: list[0].Server})
	}
	return list
}

// server6 is what the server is to clients with IPv6, nil if they have none.
func server6(c *conf.Config) *vpn.IPv6 {
	list := prefixes6(c)
	if len(list) == 0 {
		return nil
	}
	return &vpn.IPv6{Server: ownAddress6(list[0])}
}

// userIPv6 is what a user has of their own.
func userIPv6(u conf.User) (six auth.IPv6) {
	if a, err := netip.ParseAddr(u.Address6); err == nil {
		six.Address = a
	}
	if p, err := netip.ParsePrefix(u.Prefix6); err == nil {
		six.Prefix = p.Masked()
	}
	if p, err := netip.ParsePrefix(u.Delegated6); err == nil {
		six.Delegated = p.Masked()
	}
	return six
}

// texts6 are what of IPv6 a session has, for people.
func texts6(six auth.IPv6) []string {
	var list []string
	if six.Address.IsValid() {
		list = append(list, six.Address.String())
	}
	for _, p := range []netip.Prefix{six.Prefix, six.Delegated} {
		if p.IsValid() {
			list = append(list, p.String())
		}
	}
	return list
}
