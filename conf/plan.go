package conf

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/pool"
)

// Plan is the addressing plan that [network] makes, as far as its pools can be read:
// what is leased, and the server's own address, the first of each pool.
func (c *Config) Plan() *pool.Plan {
	p := &pool.Plan{}
	p.Pool = c.Network.plan4(p, c.Network.Pool)
	c.Network.plan6(p)
	c.planNamed(p)
	if c.Network.Gateway.IsValid() {
		p.Foreign = append(p.Foreign, pool.Foreign{Network: pool.Host(c.Network.Gateway), Whose: "the office network's gateway"})
	}
	return p
}

// plan4 adds the networks of a pool's ranges, and returns what it leases.
func (n *Network) plan4(p *pool.Plan, of []AddressRange) pool.Space {
	var ranges []pool.Range
	for _, r := range of {
		run, network := pool.Range{First: r.First, Last: r.Last}, n.LAN
		switch {
		case !r.IsValid():
			continue
		case r.Prefix.IsValid():
			run, network = pool.Prefix(r.Prefix), r.Prefix
		}
		ranges = append(ranges, run)
		p.Networks = append(p.Networks, pool.Network{Prefix: network.Masked(), Server: run.First})
	}
	return pool.Addresses(ranges...)
}

// plan6 adds IPv6, to a plan that has none. The server's address is the first behind that of all routers
// (RFC 4291, section 2.6.1).
func (n *Network) plan6(p *pool.Plan) {
	var networks []netip.Prefix
	var ranges []pool.Range
	var server netip.Addr
	for _, network := range n.Pool6 {
		if !network.IsValid() {
			continue
		}
		network = network.Masked()
		if own := network.Addr().Next(); !server.IsValid() {
			server = own
		}
		networks, ranges = append(networks, network), append(ranges, pool.Prefix(network))
		p.Networks = append(p.Networks, pool.Network{Prefix: network, Server: network.Addr().Next()})
	}
	switch {
	case len(networks) == 0:
	case networks[0].Bits() < 64:
		p.Pool6 = pool.Prefixes(64, networks...)
	default:
		p.Pool6 = pool.Addresses(ranges...)
	}
	if d := n.Delegate6; d.IsValid() && d.Bits() < n.Delegate6Bits && n.Delegate6Bits <= 64 {
		p.Delegate6 = pool.Prefixes(n.Delegate6Bits, d)
		p.Networks = append(p.Networks, pool.Network{Prefix: d.Masked(), Server: server})
	}
}
