package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/pool"
)

// foreign returns the addresses and networks that no user can have because of the host,
// nor a part of them, nor a network that contains them. The host would lose what it
// reaches there, and the user's client could take its place.
func foreign(ctx context.Context, c *conf.Config) []pool.Foreign {
	var list []pool.Foreign
	for _, a := range ownAddresses() {
		list = append(list, single(a, "the server's own host, which answers to it"))
	}
	list = append(list, hostNetworks(c.Network.Device)...)
	for _, a := range hostnet.Gateways(c.Network.Device) {
		list = append(list, single(a, "the gateway of the server's host"))
	}
	return slices.Concat(list, beyondLinks(c), peers(ctx, c))
}

func single(a netip.Addr, whose string) pool.Foreign {
	return pool.Foreign{Network: pool.Host(a), Whose: whose}
}

// hostNetworks are the networks that the host is in with other devices than the server's.
func hostNetworks(device string) (list []pool.Foreign) {
	all, _ := hostAddresses(device)
	for _, a := range all {
		if a.up && a.Addr().IsGlobalUnicast() && a.Bits() > 0 && !a.IsSingleIP() {
			list = append(list, pool.Foreign{Network: a.Masked(), Whose: "the server's host, which is in it by " + a.device})
		}
	}
	return list
}

// peers are the addresses of those whom this host asks or dials: the RADIUS servers', in whose
// place a client that had one could answer, and the other ends of links. Names that do not
// resolve now are left out.
func peers(ctx context.Context, c *conf.Config) (list []pool.Foreign) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	add := func(host conf.Host, whose string) {
		addresses, err := resolve(ctx, host)
		if err != nil {
			return
		}
		for _, a := range addresses {
			list = append(list, single(a.Unmap().WithZone(""), whose))
		}
	}
	if c.Auth.Backend == conf.BackendRadius {
		for _, s := range c.Radius.Servers {
			add(s.Address.Host, "the RADIUS server "+s.Address.String())
			add(s.Accounting.Host, "the RADIUS server "+s.Accounting.String())
		}
	}
	for _, l := range c.Links {
		for _, r := range l.Remote {
			add(r, fmt.Sprintf("the other end of the link %q", l.Name))
		}
	}
	for _, t := range c.Tunnels {
		add(t.Remote, fmt.Sprintf("the other end of the tunnel %q", t.Name))
	}
	return list
}

// beyondLinks are what links lead to: a client that had a part of it would take that from the
// host.
func beyondLinks(c *conf.Config) (list []pool.Foreign) {
	add := func(whose string, routes []netip.Prefix, ends ...netip.Addr) {
		for _, a := range ends {
			if a.IsGlobalUnicast() {
				routes = append(routes[:len(routes):len(routes)], pool.Host(a))
			}
		}
		for _, r := range routes {
			if r.Bits() > 1 { // all of the Internet, or half of it, has clients' networks in it
				list = append(list, pool.Foreign{Network: r, Whose: whose, Link: true})
			}
		}
	}
	for _, l := range c.Links {
		add(fmt.Sprintf("the link %q", l.Name), l.Routes, l.PeerAddress)
	}
	for _, t := range c.Tunnels {
		add(fmt.Sprintf("the tunnel %q", t.Name), t.Routes, t.PeerAddress, t.PeerAddress6)
	}
	return list
}

// CheckOverlaps looks for users whose own addresses and prefixes overlap: the user who
// connects second is refused. An address within the same user's prefix is their own.
func CheckOverlaps(c *conf.Config) (list []Finding) {
	type owned struct {
		network netip.Prefix
		user    string
	}
	var all []owned
	for _, u := range localUsers(c) {
		for _, p := range ownNetworks(u) {
			all = append(all, owned{p, u.Name})
		}
	}
	slices.SortStableFunc(all, func(a, b owned) int {
		if d := a.network.Addr().Compare(b.network.Addr()); d != 0 {
			return d
		}
		return a.network.Bits() - b.network.Bits()
	})
	var around []owned // what the last one is within, the widest first, and itself
	for _, o := range all {
		for len(around) > 0 && !around[len(around)-1].network.Overlaps(o.network) {
			around = around[:len(around)-1]
		}
		for _, other := range around {
			if other.user != o.user {
				list = append(list, Finding{What: fmt.Sprintf("%s of user %q", ownText(o.network), o.user), Err: fmt.Errorf(
					"it overlaps %s, which is user %q's: whoever of them connects second is refused; give one of them another", ownText(other.network), other.user)})
				break
			}
		}
		around = append(around, o)
	}
	return list
}

func ownText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return "the address " + p.Addr().String()
	}
	return "the prefix " + p.String()
}

// CheckStatic looks for users' own addresses and prefixes that are this host's, a
// gateway's or a RADIUS server's, or of a network of this host.
func CheckStatic(c *conf.Config) (list []Finding) {
	plan := c.Plan()
	plan.Foreign = append(plan.Foreign, foreign(context.Background(), c)...)
	for _, u := range localUsers(c) {
		refused := map[netip.Prefix]string{}
		for _, r := range plan.Judge(wish(u)) {
			refused[r.Of] = r.Why
		}
		for _, p := range ownNetworks(u) {
			if f := checkStatic(c, p, refused[p]); f.What != "" || f.Err != nil {
				f.What = fmt.Sprintf("%s of user %q%s", ownText(p), u.Name, f.What)
				list = append(list, f)
			}
		}
	}
	return list
}

// wish is what a user is to have.
func wish(u auth.User) pool.Wish {
	return pool.Wish{Address: u.Address, Address6: u.IPv6.Address, Prefix6: u.IPv6.Prefix, Delegated: u.IPv6.Delegated}
}

// checkStatic looks at one address or prefix, which Judge refuses for a reason, "" if it
// does not. CheckStatic puts the user in front of What.
func checkStatic(c *conf.Config, p netip.Prefix, why string) Finding {
	network, on, err := hostnet.Overlap(c.Network.Device, p)
	inside := err == nil && network.IsValid()
	switch {
	case inside && p.IsSingleIP() && slices.Contains(ownAddresses(), p.Addr()):
		return Finding{Err: fmt.Errorf("it is this host's own, on %s, and refused to clients: give the user another", on)}
	case why != "":
		return Finding{Err: errors.New("it " + why)}
	case inside:
		return Finding{Warning: true, What: fmt.Sprintf(" is of the network %v on %s, whose hosts do not find the client there: give the user another, or set network.mode = \"tap\"", network, on)}
	}
	return Finding{}
}

func ownNetworks(u auth.User) (list []netip.Prefix) {
	for _, a := range []netip.Addr{u.Address, u.IPv6.Address} {
		if a.IsValid() {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for _, p := range []netip.Prefix{u.IPv6.Prefix, u.IPv6.Delegated} {
		if p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}
