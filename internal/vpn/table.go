package vpn

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// table holds the connections. The server's lock guards it.
type table struct {
	cookies   map[ike.Cookies]*Conn
	conns     map[uint64]*Conn
	endpoints map[netip.AddrPort]*Conn // of authenticated connections, by the peer's endpoint
	outgoing  map[uint64]*Conn         // those of conns that we have placed
}

func newTable() table {
	return table{map[ike.Cookies]*Conn{}, map[uint64]*Conn{}, map[netip.AddrPort]*Conn{}, map[uint64]*Conn{}}
}

// newConn makes a connection, or returns nil if the server is stopping. It evicts an old
// stranger when there are too many.
func (s *Server) newConn(now time.Time, path ike.Path) *Conn {
	return s.enlist(s.makeConn(now, path))
}

func (s *Server) makeConn(now time.Time, path ike.Path) *Conn {
	c := &Conn{
		id:      s.ids.Add(1),
		srv:     s,
		policy:  s.policy.Load(),
		born:    now,
		phases1: phases1{path: path},
	}
	c.open()
	return c
}

// enlist adds a connection, which has to be started then, or returns nil if the server is
// stopping. One that we place is no stranger: nobody can crowd it out.
func (s *Server) enlist(c *Conn) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	s.run.Add(1) // here, under the lock: a server that stops waits for it from now on
	s.conns[c.id] = c
	if c.calling != nil {
		s.outgoing[c.id] = c
		return c
	}
	s.strangers.enter(c, c.policy.HalfOpen, c.policy.HalfOpenPerSource, &s.budget)
	return c
}

// known removes c from the strangers and makes it findable by its endpoint.
func (s *Server) known(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strangers.leave(c)
	c.holding.close()
	s.claimEndpoint(c)
}

// moved records a connection's new endpoint.
func (s *Server) moved(c *Conn, from netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endpoints[from] == c {
		delete(s.endpoints, from)
	}
	s.claimEndpoint(c)
}

// claimEndpoint makes c findable by its endpoint. A connection that only claims an
// endpoint, as a forged source address does, does not displace one whose peer has proved
// it.
//
// One that we have placed claims none: a phase 1 that the peer begins there is its own
// call, not a renewal of ours.
func (s *Server) claimEndpoint(c *Conn) {
	if c.caller != nil {
		return
	}
	at := c.path.Remote
	if old := s.endpoints[at]; old != nil && old != c && old.reached(at.Addr()) && !c.reached(at.Addr()) {
		return
	}
	s.endpoints[at] = c
}

// allOutgoing are the connections that we have placed.
func (s *Server) allOutgoing() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.outgoing))
}

// at returns the connection whose authenticated endpoint is remote.
func (s *Server) at(remote netip.AddrPort) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endpoints[remote]
}

// forget removes every trace of c.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
	delete(s.outgoing, c.id)
	if s.endpoints[c.path.Remote] == c {
		delete(s.endpoints, c.path.Remote)
	}
	s.strangers.leave(c)
	c.holding.close()
	s.settled(c)
	s.vacate(c)
}

// routed returns the connection that has these cookies; nil: none has.
func (s *Server) routed(cookies ike.Cookies) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookies[cookies]
}

// claim routes messages with these cookies to c.
func (s *Server) claim(cookies ike.Cookies, c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cookies[cookies] = c
}

// pass delivers a message to the connection that these cookies are routed to,
// and reports whether there is one.
func (s *Server) pass(cookies ike.Cookies, n dataplane.Note) bool {
	found, taken := s.deliver(cookies, n)
	if found && !taken {
		s.drop(pathOf(n), ErrBusy)
	}
	return found
}

// deliver holds the lock meanwhile. So a connection that claims the cookies of another
// one finds all earlier messages in the other one's inbox, and no later message goes
// there.
func (s *Server) deliver(cookies ike.Cookies, n dataplane.Note) (found, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cookies[cookies]
	if c == nil {
		// The answer to our own first message carries a responder cookie that we have not
		// seen yet.
		c = s.cookies[ike.Cookies{Initiator: cookies.Initiator}]
	}
	if c == nil {
		return false, false
	}
	return true, c.Deliver(n)
}

// claimed reports whether messages with these cookies are routed to c.
func (s *Server) claimed(cookies ike.Cookies, c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookies[cookies] == c
}

// unclaim undoes claim, unless another connection has these cookies by now.
func (s *Server) unclaim(cookies ike.Cookies, c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookies[cookies] == c {
		delete(s.cookies, cookies)
	}
}
