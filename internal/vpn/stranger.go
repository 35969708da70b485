package vpn

import "github.com/adit-vpn/adit/internal/crowd"

// strangers are the connections without an authenticated phase 1. Each costs a goroutine
// and a Diffie-Hellman exchange, so their number and each source's share of it are
// bounded: a flood from one source evicts that source's own strangers. The server's lock
// guards them.
type strangers struct{ crowd.Crowd[*Conn] }

// enter adds c. It evicts the oldest strangers of c's source if there are perSource of
// them. If there are too many strangers in all, or the budget is used up, it evicts those
// whose origin has the most.
func (s *strangers) enter(c *Conn, most, perSource int, b *budget) {
	o := crowd.OriginOf(c.path.Remote.Addr())
	for s.Origins().Of(o)[2] >= max(1, perSource) {
		s.evict(s.OldestOf(o), EndEvicted)
	}
	for s.Len() >= max(1, most) {
		s.evict(s.Yields(), EndEvicted)
	}
	for !b.take(strangerCost) && s.Len() > 0 {
		s.evict(s.Yields(), EndEvicted)
	}
	c.stranger = s.Add(o, c)
	c.holding.open(b, c.path.Remote.Addr())
}

// leave removes c, if it is a stranger.
func (s *strangers) leave(c *Conn) {
	if c.stranger != nil {
		s.Remove(c.stranger)
		c.stranger = nil
	}
}

func (s *strangers) evict(m *crowd.Member[*Conn], why End) {
	s.leave(m.Value)
	m.Value.holding.close()
	m.Value.evict(why)
}

// evict ends a connection to make room for another. It does not block. The caller holds
// the server's lock.
func (c *Conn) evict(why End) {
	if c.goneWhy == 0 {
		c.goneWhy = why
		close(c.gone)
		c.wake()
	}
}
