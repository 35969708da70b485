package vpn

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/ppp"
)

// Several sessions of one user may have the same network behind them: two routers to that
// network, or one router that has come back before the server noticed its absence. The
// newest session gets the network, and the next one gets it when that session ends.

// lead makes the networks of a Route lead to a session, and no other networks.
func (c *Conn) lead(now time.Time, s *call, to session.Route) {
	s.route = to
	var have []netip.Prefix
	changed := NetworksChanged{Who: c.who()}
	if s.port != nil {
		changed.Left = s.port.Name()
	}
	for _, p := range s.prefixes {
		if !slices.Contains(to.Networks, p) {
			c.srv.plane.Unroute(p, s.data)
			changed.Removed = append(changed.Removed, p)
		}
	}
	for _, p := range to.Networks {
		if !c.leadOne(s, p) {
			continue
		}
		have = append(have, p)
		if !slices.Contains(s.prefixes, p) {
			changed.Added = append(changed.Added, p)
		}
	}
	s.prefixes = have
	to.Networks = have
	if err := c.attach(s, to); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
		s.Close(now, ppp.ReasonInternal)
		for _, p := range changed.Added { // nobody has heard of them
			c.srv.plane.Unroute(p, s.data)
		}
		s.prefixes = slices.DeleteFunc(have, func(p netip.Prefix) bool { return slices.Contains(changed.Added, p) })
		changed.Added = nil
		c.report(changed)
		c.lead(now, s, session.Route{})
		return
	}
	s.data.SetNetwork(have, to.MTU)
	if s.port != nil {
		s.port.Lead(c.slot, s.data)
		changed.Device = s.port.Name()
	}
	c.report(changed)
}

// report reports a change, if it is one.
func (c *Conn) report(e NetworksChanged) {
	if len(e.Added)+len(e.Removed) > 0 {
		c.observe(e)
	}
}

// leadOne makes a network lead to a session, and reports whether it does.
func (c *Conn) leadOne(s *call, p netip.Prefix) bool {
	err := c.srv.plane.Route(p, c.slot, s.data)
	switch {
	case err == nil:
		s.lost = slices.DeleteFunc(s.lost, func(q netip.Prefix) bool { return q == p })
		return true
	case !errors.Is(err, dataplane.ErrTaken) || !slices.Contains(s.Routes(), p):
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
		return false // only the owner of the network may send from it
	case slices.Contains(s.lost, p):
		return false
	}
	c.srv.plane.Reroute(p, c.slot, s.data)
	c.tellUser(s.User(), func(now time.Time, other *Conn) { other.lose(now, s, p) })
	return true
}

// lose removes a network from a user's sessions after the session to has taken it.
func (c *Conn) lose(now time.Time, to *call, p netip.Prefix) {
	for _, s := range c.calls {
		if s == to || !slices.Contains(s.prefixes, p) || c.srv.plane.Route(p, c.slot, s.data) == nil {
			continue // it leads here, still or again
		}
		s.lost = append(s.lost, p)
		c.lead(now, s, s.route)
	}
}

// handOn gives the routes of a session that ends to the user's other sessions.
func (c *Conn) handOn(user string, routes []netip.Prefix) {
	if len(routes) == 0 {
		return
	}
	c.tellUser(user, func(now time.Time, other *Conn) {
		for _, s := range other.calls {
			if len(s.lost) > 0 {
				other.lead(now, s, s.route)
			}
		}
	})
}

// tellUser runs f on every connection that has a session of this user, including this
// one.
func (c *Conn) tellUser(user string, f func(now time.Time, other *Conn)) {
	var all []*Conn
	for _, other := range c.srv.people.conns(user) {
		if st := other.info.Load(); st != nil && st.has(user) {
			all = append(all, other)
		}
	}
	if len(all) == 0 {
		return
	}
	c.srv.run.Go(func() {
		for _, other := range all {
			other.do(func(now time.Time) { f(now, other) })
		}
	})
}
