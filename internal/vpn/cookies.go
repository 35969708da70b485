package vpn

import (
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

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

// deliver holds the lock meanwhile: who claims cookies of another connection
// finds in its inbox every message that went there before, and none comes later.
func (s *Server) deliver(cookies ike.Cookies, n dataplane.Note) (found, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cookies[cookies]
	if c == nil {
		// The answer to a first message of ours carries a cookie that we have
		// not seen.
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

// unclaim undoes claim, unless another connection has them now.
func (s *Server) unclaim(cookies ike.Cookies, c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookies[cookies] == c {
		delete(s.cookies, cookies)
	}
}
