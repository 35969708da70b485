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
