package vpn

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/ppp"
)

// A client whose cable was pulled comes back while the server still keeps its old
// session. If it comes from exactly the same endpoint, a new SCCRQ ends the old tunnel.
// From another port of its NAT nothing proves that it is the same client: a second client
// behind that NAT may have the same user, private address and name. So the old session is
// probed, and it makes room only if it does not answer.

// proofTime is how long a session has to show that its client is there: a HELLO is
// repeated twice within it. On a long path it is two round trips, but no more than
// maxProof: heavy loss makes a round trip seem longer than it is.
const (
	proofTime = 4 * time.Second
	maxProof  = 12 * time.Second
)

// doubt is a pending check whether a connection's client is still there.
type doubt struct {
	since, until time.Time
	replies      []func() // called when the check is finished
}

// deadline is when the check is over; zero: none is pending.
func (d *doubt) deadline() time.Time {
	if d == nil {
		return time.Time{}
	}
	return d.until
}

// end says that the check is finished. It is idempotent.
func (d *doubt) end() {
	if d == nil {
		return
	}
	for _, answered := range d.replies {
		answered()
	}
	d.replies = nil
}

// lookalikes are the connections that this connection's client may have left behind: same
// user, public address, pre-shared key, identification and host name.
func (c *Conn) lookalikes(user string) (list []*Conn) {
	own := c.ident.Load()
	for _, other := range c.srv.people.connsAt(user, c.path.Remote.Addr()) {
		st, id := other.info.Load(), other.ident.Load()
		if other == c || st == nil || id == nil || own == nil {
			continue
		}
		if st.Remote.Addr() == c.path.Remote.Addr() && st.HostName == c.host && st.has(user) &&
			id.same(own) {
			list = append(list, other)
		}
	}
	return list
}

// holders are the connections with a session of the same user that has something that g
// promises. The newer session of a user with a static address wins.
func (c *Conn) holders(user string, g auth.Grant) (list []*Conn) {
	for _, other := range c.srv.people.conns(user) {
		if st := other.info.Load(); other != c && st != nil && st.holds(user, g) {
			list = append(list, other)
		}
	}
	return list
}

// ofUser are the other connections with a session of a user.
func (c *Conn) ofUser(user string) (list []*Conn) {
	for _, other := range c.srv.people.conns(user) {
		if st := other.info.Load(); other != c && st != nil && st.has(user) {
			list = append(list, other)
		}
	}
	return list
}

// makeRoom ends old sessions that are in the way of a user who was denied a new one, and
// then lets the session retry.
func (c *Conn) makeRoom(now time.Time, s *call, e session.Blocked) {
	var old []*Conn
	ask := (*Conn).prove
	switch {
	case e.Leased:
		named := e.Grant.Networks()
		old = c.lessees(e.Grant.User, named)
		ask = func(other *Conn, now time.Time, answered func()) { other.makeWay(now, named, answered) }
	case e.Taken:
		old, ask = c.holders(e.Grant.User, e.Grant), (*Conn).surrender
	case e.Oldest:
		old = oldest(e.Grant.User, c.ofUser(e.Grant.User))
		ask = func(other *Conn, now time.Time, answered func()) { other.giveUp(now, e.Grant.User, answered) }
	case e.Grant.Link != nil: // the other end of a link that calls has no other call
		old, ask = c.ofUser(e.Grant.User), (*Conn).surrender
	default:
		old = c.ofUser(e.Grant.User)
	}
	if len(old) == 0 {
		s.Retry(now, e.Ticket)
		return
	}
	c.await(old, ask, func(now time.Time) {
		if c.has(s) {
			s.Retry(now, e.Ticket)
		}
	})
}

// oldest is the connection of those that has the oldest session of a user.
func oldest(user string, list []*Conn) []*Conn {
	var first *Conn
	var began time.Time
	for _, c := range list {
		if st := c.info.Load(); st != nil {
			if since := st.first(user); first == nil || since.Before(began) {
				first, began = c, since
			}
		}
	}
	if first == nil {
		return nil
	}
	return []*Conn{first}
}

// giveUp ends the oldest session that this connection has of a user, for a newer one. Other
// users of the connection stay.
func (c *Conn) giveUp(now time.Time, user string, answered func()) {
	defer answered()
	var first *call
	others := false
	for _, s := range c.calls {
		switch {
		case !s.Up() || s.User() != user:
			others = true
		case first == nil || s.Info().Since.Before(first.Info().Since):
			others = others || first != nil
			first = s
		default:
			others = true
		}
	}
	switch {
	case first == nil:
	case !others:
		c.replace(now)
	default:
		c.linkDown(now, first, session.Ended{Why: ppp.ReasonReplaced})
	}
}

// await asks other connections a question, all at once, on a goroutine that waits for all answers.
// Then it runs then, if it is not nil, on this connection's goroutine.
func (c *Conn) await(others []*Conn, ask func(other *Conn, now time.Time, answered func()), then func(time.Time)) {
	if len(others) == 0 {
		return
	}
	c.srv.run.Go(func() {
		answers := make([]chan struct{}, len(others))
		for i, other := range others {
			answer := make(chan struct{})
			answers[i] = answer
			other.do(func(now time.Time) { ask(other, now, sync.OnceFunc(func() { close(answer) })) })
		}
		for i, other := range others {
			select {
			case <-answers[i]:
			case <-other.done:
			}
		}
		if then != nil {
			c.do(then)
		}
	})
}

// prove ends this connection unless its client shows within proofTime that it is there.
// It calls answered when that is decided, or when the connection ends.
func (c *Conn) prove(now time.Time, answered func()) {
	if c.ended || !c.drain.IsZero() {
		answered()
		return
	}
	if c.doubt == nil {
		wait := proofTime
		if c.tunnel != nil {
			wait = min(max(wait, 2*c.tunnel.RoundTrip()), maxProof)
			c.tunnel.Probe(now)
		}
		c.doubt = &doubt{since: now, until: now.Add(wait)}
	}
	c.doubt.replies = append(c.doubt.replies, answered)
}

// settle ends a doubt: it decides whether the client is still there.
func (c *Conn) settle(now time.Time) {
	d := c.doubt
	c.doubt = nil
	if c.slot == nil || c.slot.LastIn().Before(d.since) {
		c.replace(now)
	}
	d.end()
}

// surrender ends this connection for a newer one of the same user.
func (c *Conn) surrender(now time.Time, answered func()) {
	c.replace(now)
	answered()
}

// lessees are the connections with a session of another user that has something of these
// networks.
func (c *Conn) lessees(user string, named []netip.Prefix) (list []*Conn) {
	for _, other := range c.srv.all() {
		st := other.info.Load()
		if other != c && st != nil && slices.ContainsFunc(st.Sessions, func(s session.Info) bool { return s.User != user && overlap(s, named) }) {
			list = append(list, other)
		}
	}
	return list
}

// overlap reports whether a session has something of these networks.
func overlap(s session.Info, named []netip.Prefix) bool {
	own := auth.Grant{Address: s.Address, IPv6: s.IPv6}
	return slices.ContainsFunc(own.Networks(), func(p netip.Prefix) bool { return slices.ContainsFunc(named, p.Overlaps) })
}

// makeWay ends the sessions that have something of these networks, and the connection if no
// session is left.
func (c *Conn) makeWay(now time.Time, named []netip.Prefix, answered func()) {
	ended := false
	for _, s := range slices.Clone(c.calls) {
		if s.Up() && overlap(s.Info(), named) {
			c.endCall(now, s, auth.PortPreempted, ppp.ReasonPreempted)
			ended = true
		}
	}
	if ended && len(c.calls) == 0 {
		c.shut(now, EndPreempted)
	}
	answered()
}

// replace releases at once what the sessions hold, and says goodbye.
func (c *Conn) replace(now time.Time) {
	for len(c.calls) > 0 {
		c.endCall(now, c.calls[0], auth.NASRequest, ppp.ReasonReplaced)
	}
	c.shut(now, EndReplaced)
}
