package conf

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/adit-vpn/adit/internal/pool"
)

// Pool is one [[pool]]: addresses that are leased to those alone who are given it by name.
type Pool struct {
	Name       string         `toml:"name" reload:"restart" doc:"what group.pool and user.pool name, and Framed-Pool and the like from RADIUS: letters, digits, and - . _"`
	Addresses  []AddressRange `toml:"addresses" reload:"restart" doc:"IPv4, as network.pool"`
	Addresses6 []netip.Prefix `toml:"addresses6" ip:"IPv6" reload:"restart" doc:"IPv6 on links, as network.pool6, whose kind it has: networks shorter than /64, or others"`
	Delegate6  netip.Prefix   `toml:"delegate6" ip:"IPv6" reload:"restart" doc:"IPv6 network that routers get prefixes of, as network.delegate6"`
}

const poolNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// validatePools checks the pools with names: they overlap nothing, and lease what the
// network's pools of the same kind do.
func validatePools(d *decoder, c *Config) {
	n, seen := &c.Network, map[string]bool{}
	four := n.Pool
	six := append(n.Pool6[:len(n.Pool6):len(n.Pool6)], n.Delegate6)
	for i := range c.Pools {
		p, at := &c.Pools[i], fmt.Sprintf("pool[%d].", i)
		d.validName(at+"name", p.Name, seen)
		if strings.Trim(p.Name, poolNames) != "" {
			d.fail(at+"name", "%q has other characters than letters, digits, and - . _", p.Name)
		}
		if len(p.Addresses) == 0 && len(p.Addresses6) == 0 && !p.Delegate6.IsValid() && !d.isUnread(at+"delegate6") {
			d.fail(at+"addresses", `missing: the pool has none: set addresses, as in ["10.84.0.0/24"], addresses6, or delegate6`)
		}
		for j, r := range p.Addresses {
			key := fmt.Sprintf("%saddresses[%d]", at, j)
			validateRangeOf4(d, n, key, r)
			if n.Mode == TAP {
				validateInLAN(d, n, key, r)
			}
			for _, other := range four {
				if r.overlaps(other) {
					d.fail(key, "%q overlaps %q, of which others get addresses", r, other)
				}
			}
			four = append(four[:len(four):len(four)], r)
		}
		six = validatePool6(d, n, p, at, six)
	}
}

// validatePool6 checks the IPv6 of a pool against what there is, and returns that with it.
func validatePool6(d *decoder, n *Network, p *Pool, at string, all []netip.Prefix) []netip.Prefix {
	if !n.HasIPv6() {
		for field, set := range map[string]bool{"addresses6": len(p.Addresses6) > 0, "delegate6": p.Delegate6.IsValid()} {
			if set && !d.isUnread(at+field+"[0]") {
				d.fail(at+field, "does nothing without network.pool6, which gives clients IPv6")
			}
		}
		return all
	}
	valid := func(list []netip.Prefix) (kept []netip.Prefix) {
		for _, x := range list {
			if x.IsValid() {
				kept = append(kept, x)
			}
		}
		return kept
	}
	all = valid(all)
	for j, x := range p.Addresses6 {
		key := fmt.Sprintf("%saddresses6[%d]", at, j)
		if !validateNetworkOf6(d, key, x, 126) {
			continue
		}
		if first := n.Pool6[0]; first.IsValid() && (first.Bits() < 64) != (x.Bits() < 64) {
			d.fail(key, "\"%v\" gives single addresses and %v, network.pool6, a /64 to each session, or the other way round: name networks of one kind", x, first)
		}
		all = disjoint(d, key, x, all)
	}
	if validateNetworkOf6(d, at+"delegate6", p.Delegate6, 63) {
		all = disjoint(d, at+"delegate6", p.Delegate6, all)
		if p.Delegate6.Bits() >= n.Delegate6Bits {
			d.fail(at+"delegate6", "\"%v\" cannot be divided into prefixes of /%d, as network.delegate6_bits says", p.Delegate6, n.Delegate6Bits)
		}
	}
	return all
}

// validateReserve checks what of the pools is kept. That it is in a pool is not asked: a
// pool may be made smaller later.
func validateReserve(d *decoder, n *Network) {
	for i, r := range n.Reserve {
		if r.Prefix.IsValid() && r.Prefix.Bits() == 0 {
			d.fail(fmt.Sprintf("network.reserve[%d]", i), "%q is everything: nobody would get an address", r)
		}
	}
}

// Reserved are the addresses of the pools that nobody gets who does not have them by name.
func (n *Network) Reserved() (list []pool.Range) {
	for _, r := range n.Reserve {
		switch {
		case r.Prefix.IsValid():
			list = append(list, pool.Range{First: r.Prefix.Masked().Addr(), Last: pool.Broadcast(r.Prefix)})
		case r.First.IsValid():
			list = append(list, pool.Range{First: r.First, Last: r.Last})
		}
	}
	return list
}

// planNamed adds the pools with names.
func (c *Config) planNamed(p *pool.Plan) {
	for i := range c.Pools {
		x := &c.Pools[i]
		named := pool.Named{Name: x.Name, Pool: c.Network.plan4(p, x.Addresses)}
		own := Network{Pool6: x.Addresses6, Delegate6: x.Delegate6, Delegate6Bits: c.Network.Delegate6Bits}
		var six pool.Plan
		own.plan6(&six)
		named.Pool6, named.Delegate6 = six.Pool6, six.Delegate6
		p.Networks = append(p.Networks, six.Networks...)
		p.Named = append(p.Named, named)
	}
}
