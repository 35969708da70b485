package app

import (
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/pool"
)

// pools are the pools of IPv4 addresses, of IPv6 on links, and of prefixes that routers
// are delegated. The server's own addresses, those of all routers (RFC 4291, section
// 2.6.1) and a LAN's gateway are never leased.
func pools(c *conf.Config, plan *pool.Plan) (four, links, routers *pool.Pool) {
	var own, own6 []netip.Addr
	for _, n := range plan.Networks {
		switch {
		case n.Server.Is4():
			own = append(own, n.Server)
		case n.OfLinks():
			own6 = append(own6, n.Prefix.Addr(), n.Server)
		}
	}
	own = appendValid(own, c.Network.Gateway)
	four, links, routers = pool.Of(plan.Pool, own...), pool.Of(plan.Pool6, own6...), pool.Of(plan.Delegate6)
	for _, n := range plan.Named {
		for _, x := range []struct {
			to       *pool.Pool
			of       pool.Space
			reserved []netip.Addr
		}{{four, n.Pool, own}, {links, n.Pool6, own6}, {routers, n.Delegate6, nil}} {
			if !x.of.IsZero() {
				x.to.Add(n.Name, pool.Of(x.of, inside(x.of, x.reserved)...))
			}
		}
	}
	return four, links, routers
}

// reserve keeps parts of the pools for those who have them by name.
func (a *instance) reserve(c *conf.Config) {
	for _, p := range []*pool.Pool{a.pool, a.pool6, a.delegate6} {
		p.Reserve(c.Network.Reserved()...)
	}
}

// inside are those of the addresses that a pool could lease.
func inside(s pool.Space, list []netip.Addr) (kept []netip.Addr) {
	for _, a := range list {
		if s.Overlaps(pool.Host(a)) {
			kept = append(kept, a)
		}
	}
	return kept
}

// prefixes are the networks of clients' links, which the data path routes by array.
func prefixes(plan *pool.Plan) (list []netip.Prefix) {
	for _, n := range plan.Networks {
		if n.OfLinks() {
			list = append(list, n.Prefix)
		}
	}
	return list
}

// broadcasts are the broadcast addresses of the office network, or of the pools.
func broadcasts(c *conf.Config, plan *pool.Plan) (list []netip.Addr) {
	if c.Network.Mode == conf.TAP {
		return []netip.Addr{pool.Broadcast(c.Network.LAN)}
	}
	for _, p := range prefixes(plan) {
		if p.Addr().Is4() {
			list = append(list, pool.Broadcast(p))
		}
	}
	return list
}

// promise says which addresses users have of their own: nobody else gets them
// in the meantime.
func (a *instance) promise(c *conf.Config) {
	var four, six, delegated []netip.Addr
	for _, u := range localUsers(c) {
		four = appendValid(four, u.Address)
		six = appendValid(six, u.IPv6.Address, u.IPv6.Prefix.Addr())
		delegated = appendValid(delegated, u.IPv6.Delegated.Addr())
	}
	a.pool.Promise(four)
	a.pool6.Promise(six)
	a.delegate6.Promise(delegated)
}

func appendValid(list []netip.Addr, more ...netip.Addr) []netip.Addr {
	for _, a := range more {
		if a.IsValid() {
			list = append(list, a)
		}
	}
	return list
}
