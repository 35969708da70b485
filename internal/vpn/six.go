package vpn

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dhcp"
	"github.com/adit-vpn/adit/internal/ndp"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/ppp"
)

// IPv6 is what a server that has IPv6 for its clients is on their links.
type IPv6 struct {
	Server netip.Addr // our global address
}

// duid is our DHCPv6 identifier, the same after a restart.
func (x *IPv6) duid() []byte { return dhcp.DUID(x.Server.String()) }

// six is a session's IPv6.
type six struct {
	auth.IPv6             // what is leased; Interface is the client's, once it is up
	on        bool        // leased at all
	up        bool        // IPV6CP is open
	server    netip.Addr  // our link-local address
	mtu       int         // of IPv6 packets, bytes
	next      time.Time   // Router Advertisement; zero: none
	sent      int         // of them, unsolicited
	leases    []heldLease // to be released
}

// heldLease is one address or prefix of a pool.
type heldLease struct {
	from *pool.Pool
	addr netip.Addr
}

// Router Advertisements that nobody asked for (RFC 4861, section 6.2.4): some
// at first, in case one is lost, and then few enough that clients may sleep.
const (
	initialAdvertisements = 3
	initialInterval       = 5 * time.Second
	leastInterval         = 400 * time.Second
	routerLifetime        = 30 * time.Minute

	minMTU6 = 1280 // RFC 8200, section 5
)

// grant6 leases a session's IPv6. An error is for the administrator: what the
// user was promised cannot be had. A pool that is empty costs the session its
// IPv6 and nothing else.
func (c *Conn) grant6(s *session, g auth.Grant) error {
	if c.policy.IPv6 == nil || g.MTU > 0 && g.MTU < minMTU6 {
		return nil
	}
	if err := c.judge6(&g.IPv6); err != nil {
		return err
	}
	if err := c.lease6(s, g); err != nil {
		if errors.Is(err, pool.ErrExhausted) {
			c.observe(Noted{c.who(), LayerPPP, "no IPv6: network.pool6 or network.delegate6", err.Error()})
			s.six.release()
			return nil
		}
		return err
	}
	s.six.on = true
	return nil
}

// judge6 refuses what a link cannot have.
func (c *Conn) judge6(g *auth.IPv6) error {
	if g.Prefix.IsValid() && g.Prefix.IsSingleIP() && !g.Address.IsValid() {
		g.Address, g.Prefix = g.Prefix.Addr(), netip.Prefix{}
	}
	if g.Prefix.IsValid() && g.Prefix.Bits() != 64 {
		return fmt.Errorf("the IPv6 prefix %v of the user is no /64, from which clients make addresses: delegate it instead", g.Prefix)
	}
	for _, p := range []netip.Prefix{hostPrefix(g.Address), g.Prefix, g.Delegated} {
		if p.IsValid() && (!p.Addr().Is6() || !p.Addr().IsGlobalUnicast()) {
			return fmt.Errorf("%v of the user is no IPv6 that a client can have", p)
		}
		if p.IsValid() && p.Contains(c.policy.IPv6.Server) {
			return fmt.Errorf("%v of the user holds the server's own address", p)
		}
	}
	links, routers := c.srv.cfg.Pool6, c.srv.cfg.Delegate6
	for _, p := range []netip.Prefix{hostPrefix(g.Address), g.Prefix} {
		if p.IsValid() && (!links.Admits(p) || routers.Overlaps(p)) {
			return fmt.Errorf("%v of the user overlaps what network.pool6 or network.delegate6 gives to others", p)
		}
	}
	if p := g.Delegated; p.IsValid() && (!routers.Admits(p) || links.Overlaps(p)) {
		return fmt.Errorf("the delegated prefix %v of the user overlaps what network.pool6 or network.delegate6 gives to others", p)
	}
	return nil
}

func hostPrefix(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// lease6 leases what is the user's own, and one address or prefix of the pool
// if that is none; and the same for what is delegated.
func (c *Conn) lease6(s *session, g auth.Grant) error {
	x := &s.six
	links, routers := c.srv.cfg.Pool6, c.srv.cfg.Delegate6
	lease := func(from *pool.Pool, own netip.Addr) (netip.Prefix, error) {
		a, err := from.Lease(g.User, own)
		if err != nil {
			return netip.Prefix{}, err
		}
		x.leases = append(x.leases, heldLease{from, a})
		return from.Of(a), nil
	}
	for _, own := range []netip.Addr{g.IPv6.Address, g.IPv6.Prefix.Addr()} {
		if own.IsValid() {
			if _, err := lease(links, own); err != nil {
				return err
			}
		}
	}
	x.Address, x.Prefix, x.Delegated = g.IPv6.Address, g.IPv6.Prefix, g.IPv6.Delegated
	if !x.Address.IsValid() && !x.Prefix.IsValid() {
		p, err := lease(links, netip.Addr{})
		if err != nil {
			return err
		}
		if p.IsSingleIP() {
			x.Address = p.Addr()
		} else {
			x.Prefix = p
		}
	}
	if x.Delegated.IsValid() {
		_, err := lease(routers, x.Delegated.Addr())
		return err
	}
	p, err := lease(routers, netip.Addr{})
	if err == nil {
		x.Delegated = p
	}
	if errors.Is(err, pool.ErrExhausted) {
		return nil // most are no routers
	}
	return err
}

// release returns what is leased. It is idempotent.
func (x *six) release() {
	for _, l := range x.leases {
		l.from.Release(l.addr)
	}
	*x = six{}
}

// network6Up lets the user's IPv6 flow.
func (c *Conn) network6Up(now time.Time, s *session, e ppp.Network6Up) {
	if c.dialer != nil {
		if c.dialer.Network6 != nil {
			c.dialer.Network6(e)
		}
		return
	}
	x := &s.six
	x.up, x.server, x.mtu = true, e.Network.Local.LinkLocal(), c.sessionMTU(s, e.MTU)
	x.Interface = e.Network.Peer
	c.route(s, x.mtu)
	c.sessionUp(now, s)
	x.sent = 0
	c.advertise(now, s)
}

// network6Down stops it.
func (c *Conn) network6Down(s *session) {
	if c.dialer != nil {
		return
	}
	s.six.up, s.six.next = false, time.Time{}
	c.route(s, s.six.mtu)
}

// own are the prefixes that the client has.
func (x *six) own() (list []netip.Prefix) {
	for _, p := range []netip.Prefix{hostPrefix(x.Address), x.Prefix, x.Delegated} {
		if p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}

// advertise sends a Router Advertisement to everybody, and says when the next
// one is due.
func (c *Conn) advertise(now time.Time, s *session) {
	x := &s.six
	c.sendIP(now, s, c.router(s).Advertise(ndp.AllNodes))
	if x.sent++; x.sent < initialAdvertisements {
		x.next = now.Add(initialInterval)
		return
	}
	// Not all at once: "to reduce the chance of synchronization".
	x.next = now.Add(leastInterval + time.Duration(c.id%200)*time.Second)
}

// router is what Router Advertisements say to a session's client. With networks
// for split tunnelling we are the router of these alone.
func (c *Conn) router(s *session) *ndp.Router {
	told, x := s.settings(), &s.six
	r := &ndp.Router{
		LinkLocal: x.server, Global: c.policy.IPv6.Server, Lifetime: routerLifetime,
		Managed: x.Address.IsValid(), Other: told.Domain != "" || len(ipv6(told.DNS)) > 0,
		Prefix: x.Prefix, Preferred: dhcp.Preferred6, Valid: dhcp.Valid6,
		DNS: told.DNS, Domain: told.Domain, Told: routerLifetime,
	}
	if x.mtu >= minMTU6 {
		r.MTU = x.mtu
	}
	if len(told.Split) > 0 {
		r.Lifetime = 0
		r.Routes = told.Split
		for _, n := range c.policy.Networks {
			r.Routes = append(r.Routes[:len(r.Routes):len(r.Routes)], n.Prefix) // IPv4 ones are not said
		}
	}
	return r
}

// receive6 answers an IPv6 packet of a session that is for its router.
func (c *Conn) receive6(s *session, b []byte) (answer []byte, err error) {
	x := &s.six
	if !x.up {
		return nil, dhcp.ErrIgnored
	}
	answer, err = c.router(s).Answer(b)
	if !errors.Is(err, ndp.ErrIgnored) {
		return answer, err
	}
	told := s.settings()
	return dhcp.Answer6(b, dhcp.Settings6{
		DUID: c.policy.IPv6.duid(), Server: x.server, Address: x.Address, Prefix: x.Delegated, DNS: told.DNS, Domain: told.Domain,
	})
}

// ipv6 are the IPv6 addresses of a list.
func ipv6(list []netip.Addr) (six []netip.Addr) {
	for _, a := range list {
		if a.Is6() {
			six = append(six, a)
		}
	}
	return six
}
