package vpn

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/crowd"
	"github.com/adit-vpn/adit/internal/halfopen"
)

// guests are the peers that have proved the key and have no user yet. Each takes a place
// in the data path, and somebody who found out the key could take all of them, so their
// number is bounded, and so is each source's share. When there is no room, the guest
// yields that has made no progress for longest: an honest client makes progress with
// every answer, and has a user within seconds.
type guests struct{ crowd.Crowd[*Conn] }

// crowding is what the server knows about peers without a user. The server's lock guards
// it.
type crowding struct {
	strangers strangers
	guests    guests
	placed    int // connections that have proved a key
	limit     int // on the number of these
}

// standing is a connection's place among the peers without a user. The server's lock
// guards it.
type standing struct {
	stranger *crowd.Member[*Conn] // nil: it is not a stranger
	guest    *crowd.Member[*Conn] // nil: it is not a guest
	placed   bool                 // it counts towards the limit of connections
	goneWhy  End                  // set before gone is closed
	holding  holding              // what it has taken from the strangers' budget
	began    []byte               // message 1, until there is a user; nil: none, or not of Main Mode
}

// beginWith keeps message 1 for when a user comes, if it can be learnt then. Its bytes
// count like those of waiting messages.
func (c *Conn) beginWith(first []byte) {
	if len(first) <= halfopen.MaxLearnt {
		c.began = first
		c.kept.Store(int64(len(first)))
	}
}

// guestsPerStranger is how many guests one source may have for each stranger that it may
// have: some guests wait for a second factor.
const guestsPerStranger = 4

// mostGuests is the most guests for a given limit of strangers. A guest costs more than
// twice as much as a stranger, and there must be time to serve it in a storm of honest
// clients.
func mostGuests(strangers int) int { return max(1, strangers/2, min(strangers, 1024)) }

// admit finds a place for a peer that has proved the key. Its source's share, the guests
// and all connections must have room, or another guest yields. admit fails only if users
// have all places.
func (s *Server) admit(c *Conn) bool {
	s.mu.Lock()
	var from netip.Prefix
	full := func() bool { return s.placed >= s.limit }
	o := crowd.OriginOf(c.path.Remote.Addr())
	yielded := 0
	for s.guests.Len() > 0 {
		var victim *crowd.Member[*Conn]
		switch {
		case s.guests.Origins().Of(o)[2] >= guestsPerStranger*max(1, c.policy.HalfOpenPerSource):
			victim = s.guests.OldestOf(o)
		case full() || s.guests.Len() >= mostGuests(c.policy.HalfOpen):
			victim = s.guests.Yields()
		}
		if victim == nil {
			break
		}
		from = victim.Origin.Source()
		s.evictGuest(victim)
		yielded++
	}
	ok := !full()
	if ok {
		s.placed++
		c.placed = true
		c.guest = s.guests.Add(o, c)
	}
	n := s.placed - s.guests.Len()
	s.mu.Unlock()
	if yielded > 0 || !ok {
		c.observe(Full{c.who(), ok, n, from})
	}
	return ok
}

// evictGuest ends a guest. Its place no longer counts from now on, although the
// connection needs a moment to give it back.
func (s *Server) evictGuest(m *crowd.Member[*Conn]) {
	s.settled(m.Value)
	s.vacate(m.Value)
	m.Value.evict(EndCrowded)
}

// vacate gives a place back. The caller holds the lock.
func (s *Server) vacate(c *Conn) {
	if c.placed {
		c.placed = false
		s.placed--
	}
}

// step is a guest's progress.
type step uint8

const (
	stepKey step = iota
	stepChild
	stepTunnel
	stepCall
	stepPassword
)

// reach records the connection's progress. Only a step that it had not reached before
// counts: nobody becomes younger by repeating a step.
func (c *Conn) reach(to step) {
	if to <= c.step {
		return
	}
	c.step = to
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if c.guest != nil {
		c.srv.guests.Renew(c.guest)
	}
}

// settled records that a guest has a user, or is gone. The caller holds the lock.
func (s *Server) settled(c *Conn) {
	if c.guest != nil {
		s.guests.Remove(c.guest)
		c.guest = nil
	}
}

// arrive records that a guest has a user. Its first message is known from now on.
func (s *Server) arrive(c *Conn) {
	s.mu.Lock()
	s.settled(c)
	first := c.began
	c.began = nil
	s.mu.Unlock()
	if first != nil {
		s.greeter.Learn(first)
	}
}
