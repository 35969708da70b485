package vpn

import (
	"errors"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/session"
)

// Ports has the devices of sessions that have one of their own. Its methods are called on
// connections' goroutines.
type Ports interface {
	// Up returns the port of to.Wire's device, which it makes if need be, and gives the device
	// its addresses, its MTU and routes to the networks. It fails if that cannot be, or if the
	// device leads to another session.
	Up(to session.Route, s *dataplane.Session) (*dataplane.Port, error)
	// Down says that the device no longer leads to this session.
	Down(p *dataplane.Port, s *dataplane.Session)
}

// errNoPorts says that a session should have a device of its own, and nobody makes one.
var errNoPorts = errors.New("the user's session is to have a device of its own, and this server makes none")

// attach gives a session its own device as long as a network leads to it, if it is to have
// one.
func (c *Conn) attach(s *call, to session.Route) error {
	if to.Wire == nil || len(to.Networks) == 0 {
		c.detach(s)
		return nil
	}
	if c.srv.cfg.Ports == nil {
		return errNoPorts
	}
	own := *to.Wire
	own.HangUp = func() { c.do(func(now time.Time) { c.shut(now, EndReplaced) }) }
	own.Remote, own.Began = c.path.Remote.Addr().Unmap(), c.calledAt()
	to.Wire = &own
	p, err := c.srv.cfg.Ports.Up(to, s.data)
	if err != nil {
		c.detach(s)
		return err
	}
	if s.port != p {
		c.detach(s)
	}
	s.port = p
	s.data.Attach(p)
	return nil
}

// detach takes its device from a session.
func (c *Conn) detach(s *call) {
	if s.port == nil {
		return
	}
	s.port.Unlead(s.data)
	s.data.Attach(nil)
	c.srv.cfg.Ports.Down(s.port, s.data)
	s.port = nil
}
