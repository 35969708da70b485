package session

import (
	"errors"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/ppp"
)

// six is the IPv6 part of a session.
type six struct {
	auth.IPv6             // what is leased; Interface is the client's, once it is up
	on        bool        // leased at all
	up        bool        // IPV6CP is open
	server    netip.Addr  // our link-local address
	mtu       int         // the MTU for IPv6 packets, bytes
	next      time.Time   // when the next Router Advertisement is due; zero: never
	sent      int         // unsolicited Router Advertisements sent
	leases    []heldLease // to be released
}

// heldLease is one address or prefix of a pool.
type heldLease struct {
	delegated bool // it is from Delegate6, not from Pool6
	addr      netip.Addr
}

const minMTU6 = 1280 // RFC 8200, section 5

// grant6 leases a session's IPv6. Its errors are for the administrator: the user cannot
// get what was promised. If a pool is empty, the session goes without IPv6 and is
// otherwise unaffected.
func (s *Session) grant6(g auth.Grant) error {
	if !s.has6(&g) {
		return nil
	}
	if g.Link != nil {
		s.st.six.on = true
		return nil
	}
	if err := s.lease6(g); err != nil {
		if errors.Is(err, pool.ErrExhausted) {
			s.note("no IPv6: network.pool6 or network.delegate6", err.Error())
			s.release6()
			return nil
		}
		return err
	}
	s.st.six.on = true
	return nil
}

// has6 reports whether a session with that grant can have IPv6.
func (s *Session) has6(g *auth.Grant) bool {
	if g.Link != nil {
		return g.Link.IPv6
	}
	return s.env.Policy.IPv6 != nil && (g.MTU <= 0 || g.MTU >= minMTU6)
}

// lease6 leases the prefixes that are the user's own, or else one address or prefix of
// the pool. It does the same for delegated prefixes.
func (s *Session) lease6(g auth.Grant) error {
	x := &s.st.six
	lease := func(delegated bool, own netip.Addr) (netip.Prefix, error) {
		from := s.pool6(delegated)
		name := g.Pools.IPv6
		if delegated {
			name = g.Pools.Delegated
		}
		a, err := from.LeaseOf(name, g.User, own)
		if err != nil {
			return netip.Prefix{}, err
		}
		x.leases = append(x.leases, heldLease{delegated, a})
		return from.Of(a), nil
	}
	for _, own := range []netip.Addr{g.IPv6.Address, g.IPv6.Prefix.Addr()} {
		if own.IsValid() {
			if _, err := lease(false, own); err != nil {
				return err
			}
		}
	}
	x.Address, x.Prefix, x.Delegated = g.IPv6.Address, g.IPv6.Prefix, g.IPv6.Delegated
	if !x.Address.IsValid() && !x.Prefix.IsValid() {
		p, err := lease(false, netip.Addr{})
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
		_, err := lease(true, x.Delegated.Addr())
		return err
	}
	p, err := lease(true, netip.Addr{})
	if err == nil {
		x.Delegated = p
	}
	if errors.Is(err, pool.ErrExhausted) {
		return nil // most clients are not routers
	}
	return err
}

func (s *Session) pool6(delegated bool) Pool {
	if delegated {
		return s.env.Delegate6
	}
	return s.env.Pool6
}

// release6 returns what lease6 leased. It is idempotent.
func (s *Session) release6() {
	for _, l := range s.st.six.leases {
		s.pool6(l.delegated).Release(l.addr)
	}
	s.st.six = six{}
}

// network6Up starts the user's IPv6 traffic.
func (s *Session) network6Up(now time.Time, e ppp.Network6Up) {
	if s.env.PPP.Client {
		s.push(Dialled6{e})
		return
	}
	x := &s.st.six
	if !x.on {
		return // only a link resumed from broken bytes has a network that its session has not
	}
	x.up, x.server, x.mtu = true, e.Network.Local.LinkLocal(), s.sessionMTU(e.MTU)
	x.Interface = e.Network.Peer
	s.route(x.mtu)
	s.sessionUp(now)
	if s.st.grant.Link != nil {
		return // a router asks nobody for addresses
	}
	x.sent = 0
	s.advertise(now)
}

// network6Down stops the user's IPv6 traffic.
func (s *Session) network6Down() {
	if s.env.PPP.Client {
		return
	}
	s.st.six.up, s.st.six.next = false, time.Time{}
	s.route(s.st.six.mtu)
}

// own are the prefixes that the client has.
func (x *six) own() (list []netip.Prefix) {
	for _, p := range []netip.Prefix{pool.Host(x.Address), x.Prefix, x.Delegated} {
		if p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}
