package vpn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// A cookie of ours has a number of so many bytes, and as much of a hash as is left:
// 40 bits, which nobody guesses by sending. mintedBit makes it other than zero.
const (
	numberLen = 3
	mintedBit = 1 << (8*numberLen - 1)
)

// cookie is a new responder cookie for an initiator at an address: a number,
// and a keyed hash of all three, so that a third message can be told from noise
// without any state. The number is for what a peer may repeat: of two devices
// with the same random numbers, or of one that was switched on again, each gets
// a cookie of its own. RFC 2408, section 2.5.3, suggests date and time for it.
func (s *Server) cookie(path ike.Path, initiator [8]byte) [8]byte {
	var number [4]byte
	binary.BigEndian.PutUint32(number[:], s.minting.Add(1)|mintedBit)
	return s.mint(path, initiator, [numberLen]byte(number[len(number)-numberLen:]))
}

func (s *Server) mint(path ike.Path, initiator [8]byte, number [numberLen]byte) (cookie [8]byte) {
	copy(cookie[:], number[:])
	h := hmac.New(sha256.New, s.cookieKey[:])
	remote := path.Remote.Addr().As16()
	h.Write(remote[:])
	h.Write(initiator[:])
	h.Write(number[:])
	copy(cookie[numberLen:], h.Sum(nil))
	return cookie
}

// minted reports whether a responder cookie is one that we gave this initiator
// at this address.
func (s *Server) minted(path ike.Path, c ike.Cookies) bool {
	own := s.mint(path, c.Initiator, [numberLen]byte(c.Responder[:]))
	return hmac.Equal(own[:], c.Responder[:])
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

// negotiates reports whether the connection that these cookies are routed to has
// had no ESP SAs yet.
func (s *Server) negotiates(cookies ike.Cookies) bool {
	s.mu.Lock()
	c := s.cookies[cookies]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	st := c.info.Load()
	return st == nil || !st.was
}

// unclaim undoes claim, unless another connection has them now.
func (s *Server) unclaim(cookies ike.Cookies, c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookies[cookies] == c {
		delete(s.cookies, cookies)
	}
}
