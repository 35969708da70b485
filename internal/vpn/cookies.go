package vpn

import "github.com/adit-vpn/adit/ike"

// claim routes messages with these cookies to c.
func (s *Server) claim(cookies ike.Cookies, c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cookies[cookies] = c
}

// claimant is the connection that messages with these cookies are routed to.
func (s *Server) claimant(cookies ike.Cookies) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookies[cookies]
}

// claimed reports whether messages with these cookies are routed to c.
func (s *Server) claimed(cookies ike.Cookies, c *Conn) bool {
	return s.claimant(cookies) == c
}

// unclaim undoes claim, unless another connection has them now.
func (s *Server) unclaim(cookies ike.Cookies, c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookies[cookies] == c {
		delete(s.cookies, cookies)
	}
}
