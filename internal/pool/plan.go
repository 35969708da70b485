package pool

import (
	"fmt"
	"net/netip"
	"slices"
)

// Plan is the addressing plan: what the pools lease, which addresses in them are the
// server's own, and which other addresses belong to somebody else. Judge decides by it
// what a user can have.
type Plan struct {
	Networks []Network // the pools' networks, with the server's own address in each
	Foreign  []Foreign // what nobody can have: the host's, the RADIUS servers'

	Pool      Space // IPv4
	Pool6     Space // IPv6 on links
	Delegate6 Space // prefixes for networks behind clients

	Named []Named
}

// Named is what pools with a name lease, of each kind.
type Named struct {
	Name                   string
	Pool, Pool6, Delegate6 Space
}

// All are the spaces of the pools, those with names among them.
func (p *Plan) All() (four, links, routers Space) {
	four, links, routers = p.Pool, p.Pool6, p.Delegate6
	for _, n := range p.Named {
		four, links, routers = four.With(n.Pool), links.With(n.Pool6), routers.With(n.Delegate6)
	}
	return four, links, routers
}

// Network is a pool's network and the server's own address in it.
type Network struct {
	Prefix netip.Prefix // the zero Prefix: the pool is a range of no known network
	Server netip.Addr
}

// OfLinks reports whether the network is one of clients' links, which the server has an
// address in. Other networks are delegated to clients.
func (n Network) OfLinks() bool { return n.Prefix.Contains(n.Server) }

// Foreign is an address or a network that no client can have, whatever grants it.
type Foreign struct {
	Network netip.Prefix
	Whose   string // for the administrator: "the server's own host, which answers to it"
	Link    bool   // it is reached through a link: no client can have one of its addresses, but the link's end
}

// Wish is what a user is to have of their own, by the configuration, a users file or
// RADIUS. Zero values ask for nothing.
type Wish struct {
	Address   netip.Addr
	Address6  netip.Addr
	Prefix6   netip.Prefix // of a link
	Delegated netip.Prefix // behind the client, by DHCPv6
	Routes    []netip.Prefix

	Link bool // for the other end of a link, whose networks are foreign to others alone

	// Without6 says that the user gets no IPv6. Judge then refuses only the IPv6 that is
	// foreign.
	Without6 bool
}

// Part says which part of a Wish is refused.
type Part uint8

// The parts.
const (
	PartAddress Part = iota + 1
	PartAddress6
	PartPrefix6
	PartDelegated
	PartRoute
)

// Refusal is why a user cannot have something.
type Refusal struct {
	Part   Part
	What   string       // "10.83.0.1", "the route 10.0.0.0/8"
	Of     netip.Prefix // the same
	Why    string       // "is the server's own address for clients: give the user another"
	Leased bool         // because a pool may give it, or a part of it, to others
}

// Error is for the administrator's log.
func (r Refusal) Error() string { return r.What + " of the user " + r.Why }

// Judge decides what a user can have. It returns what is refused. It does not know
// whether another user has it already.
func (p *Plan) Judge(w Wish) (refused []Refusal) {
	check := func(part Part, what string, of netip.Prefix, rules ...func(netip.Prefix) verdict) {
		if !of.IsValid() {
			return
		}
		for _, rule := range rules {
			if v := rule(of); v.why != "" {
				refused = append(refused, Refusal{part, what, of, v.why, v.leased})
				return
			}
		}
	}
	if w.Link {
		p = p.withoutLinks()
	}
	check(PartAddress, w.Address.String(), Host(w.Address), clients4, p.address)
	six := func(rules ...func(netip.Prefix) verdict) []func(netip.Prefix) verdict {
		if w.Without6 {
			return rules[len(rules)-1:]
		}
		return rules
	}
	check(PartAddress6, w.Address6.String(), Host(w.Address6), six(clients6, p.link, p.address)...)
	check(PartPrefix6, "the IPv6 prefix "+w.Prefix6.String(), w.Prefix6, six(link6, clients6, p.link, p.foreign)...)
	check(PartDelegated, "the delegated prefix "+w.Delegated.String(), w.Delegated, six(clients6, p.delegated, p.foreign)...)
	for _, r := range w.Routes {
		check(PartRoute, "the route "+r.String(), r, anyRoute, p.route, p.foreign)
	}
	return refused
}

// withoutLinks is the plan as it is to links.
func (p *Plan) withoutLinks() *Plan {
	own := *p
	own.Foreign = slices.DeleteFunc(slices.Clone(p.Foreign), func(f Foreign) bool { return f.Link })
	return &own
}

// Host is the network of one address; the zero Prefix for the zero Addr.
func Host(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// verdict is what a rule says; the zero verdict is not an objection.
type verdict struct {
	why    string
	leased bool
}

func refuse(format string, args ...any) verdict { return verdict{why: fmt.Sprintf(format, args...)} }

// clients4 refuses what no host can have as its IPv4 address.
func clients4(n netip.Prefix) verdict {
	if a := n.Addr(); !a.Is4() || !a.IsGlobalUnicast() || a.As4()[0] == 0 || a.As4()[0] >= 240 {
		return refuse("is not an address that a client can have")
	}
	return verdict{}
}

// clients6 refuses what no host can have as its IPv6.
func clients6(n netip.Prefix) verdict {
	if a := n.Addr(); !a.Is6() || a.Is4In6() || !a.IsGlobalUnicast() {
		return refuse("is not an IPv6 address that a client can have")
	}
	return verdict{}
}

// link6 refuses prefixes that clients make no addresses from (RFC 4862, section 5.5.3).
func link6(n netip.Prefix) verdict {
	if n.Bits() != 64 {
		return refuse("is no /64, from which clients make addresses: delegate it instead")
	}
	return verdict{}
}

// address refuses addresses that belong to somebody else. An address in a network of the
// host is the administrator's choice: adit check warns of it.
func (p *Plan) address(n netip.Prefix) verdict {
	a := n.Addr()
	for _, f := range p.Foreign {
		switch {
		case f.Network.IsSingleIP() && f.Network.Addr() == a:
			return refuse("is an address of %s: give the user another", f.Whose)
		case f.Link && f.Network.Contains(a):
			return refuse("is of the network %v of %s: give the user another", f.Network, f.Whose)
		}
	}
	for _, n := range p.Networks {
		switch {
		case a == n.Server:
			return refuse("is the server's own address for clients, the first of a pool: give the user another")
		case !n.Prefix.Contains(a) || a.Is4() && n.Prefix.Bits() >= 31 || n.Prefix.IsSingleIP():
		case a == n.Prefix.Masked().Addr(), a.Is4() && a == Broadcast(n.Prefix):
			return refuse("is the address of all of the network %v, not of one client: give the user another", n.Prefix)
		}
	}
	return verdict{}
}

// foreign refuses networks that overlap what is foreign, or hold an address of the
// server's.
func (p *Plan) foreign(n netip.Prefix) verdict {
	for _, f := range p.Foreign {
		if f.Network.Overlaps(n) {
			return refuse("overlaps %s of %s: give the user another", shown(f.Network), f.Whose)
		}
	}
	for _, own := range p.Networks {
		if own.Server.IsValid() && n.Contains(own.Server) {
			return refuse("holds %v, the server's own address for clients: give the user another", own.Server)
		}
	}
	return verdict{}
}

// toOthers is the verdict on what the IPv6 pools may give to other users.
func toOthers() verdict {
	return verdict{"overlaps what network.pool6 or network.delegate6 gives to others", true}
}

// link refuses addresses and prefixes of a link that the pools may give to others.
func (p *Plan) link(n netip.Prefix) verdict {
	if _, links, routers := p.All(); !links.Admits(n) || routers.Overlaps(n) {
		return toOthers()
	}
	return verdict{}
}

// delegated refuses prefixes for networks behind a client that the pools may give to
// others.
func (p *Plan) delegated(n netip.Prefix) verdict {
	if _, links, routers := p.All(); !routers.Admits(n) || links.Overlaps(n) {
		return toOthers()
	}
	return verdict{}
}

// ofNobody are networks whose addresses nobody can have behind a client: those of this host
// itself, of a link (where clouds have their metadata), of groups, and of IPv4 within IPv6.
var ofNobody = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// The widest routes. What is wider is a good part of the Internet, or all of it, which the host
// would lose. Unique local addresses (RFC 4193) are nobody's.
const widest4, widest6 = 8, 16

var uniqueLocal = netip.MustParsePrefix("fc00::/7")

// anyRoute refuses routes that would take what no network behind a client has.
func anyRoute(n netip.Prefix) verdict {
	a := n.Addr()
	if a.Is4() && n.Bits() < widest4 || a.Is6() && n.Bits() < widest6 && (!uniqueLocal.Contains(a) || n.Bits() < uniqueLocal.Bits()) {
		return refuse("is none that a client can have: it is wider than /%d, or of IPv6 than /%d", widest4, widest6)
	}
	if a.Is4In6() || slices.ContainsFunc(ofNobody[:], n.Overlaps) {
		return refuse("is none that a client can have")
	}
	return verdict{}
}

// route refuses routes that would take what the pools lease.
func (p *Plan) route(r netip.Prefix) verdict {
	for _, n := range p.Networks {
		if n.Prefix.IsValid() && n.Prefix.Overlaps(r) {
			return verdict{fmt.Sprintf("overlaps network.pool %v, whose addresses are others'", n.Prefix), true}
		}
	}
	four, links, routers := p.All()
	for _, s := range []Space{four, links, routers} {
		if s.Overlaps(r) {
			return verdict{"overlaps network.pool, whose addresses are others'", true}
		}
	}
	return verdict{}
}

// shown is a network for people: an address without its length.
func shown(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
