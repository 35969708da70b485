package vpn

import "net/netip"

// strangers are the connections without an authenticated phase 1, oldest
// first. They cost a goroutine and a Diffie-Hellman exchange each, so that both
// their number and a source's share of it are bounded: a flood from one source
// evicts that source's own. The server's lock guards them.
type strangers struct {
	list    []*Conn
	sources map[netip.Prefix]int
}

// add puts c last, and evicts the oldest of its source beyond perSource. Beyond
// most it evicts the oldest whose source has others: who comes alone outlives a
// flood from many sources, unless each of those comes alone, too.
func (s *strangers) add(c *Conn, most, perSource int) {
	if s.sources[c.source] >= max(1, perSource) {
		s.evict(func(old *Conn) bool { return old.source == c.source })
	}
	s.list = append(s.list, c)
	s.sources[c.source]++
	for len(s.list) > max(1, most) {
		if !s.evict(func(old *Conn) bool { return s.sources[old.source] > 1 }) {
			s.evict(func(*Conn) bool { return true })
		}
	}
}

// evict ends the oldest that fits, without blocking, and reports whether there
// was one.
func (s *strangers) evict(fits func(*Conn) bool) bool {
	for _, c := range s.list {
		if fits(c) {
			s.remove(c)
			close(c.gone)
			return true
		}
	}
	return false
}

// remove takes c out, if it is in.
func (s *strangers) remove(c *Conn) {
	for i, other := range s.list {
		if other != c {
			continue
		}
		s.list = append(s.list[:i], s.list[i+1:]...)
		if s.sources[c.source]--; s.sources[c.source] <= 0 {
			delete(s.sources, c.source)
		}
		return
	}
}

// guestsPerStranger is how many peers of one source may have proved the key and
// not yet brought a user, for each that may be before that: some wait for a
// second factor.
const guestsPerStranger = 4

// admit counts a guest, a peer that has proved the key and has no user yet, if
// its source has room for one more. Each takes a place in the data path, which
// rests after it: whoever found the key could otherwise take all of them.
func (s *Server) admit(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guests[c.source] >= guestsPerStranger*max(1, c.policy.HalfOpenPerSource) {
		return false
	}
	s.guests[c.source]++
	c.guest = true
	return true
}

// settled says that a guest has a user, or is gone. The caller holds the lock.
func (s *Server) settled(c *Conn) {
	if !c.guest {
		return
	}
	c.guest = false
	if s.guests[c.source]--; s.guests[c.source] <= 0 {
		delete(s.guests, c.source)
	}
}

// arrive says that a guest has a user.
func (s *Server) arrive(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled(c)
}
