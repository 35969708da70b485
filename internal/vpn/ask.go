package vpn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/ppp"
)

// ask asks the backend for a verdict on a session's user, on a goroutine of its own. The
// answer to an earlier question no longer counts.
func (c *Conn) ask(now time.Time, s *call, e session.Ask) {
	if s.cancel != nil {
		s.cancel()
	}
	r := e.Request
	s.says = r.Call
	r.Call = c.authCall(s, r.Call.SessionID)
	by := s.next
	if s.next = nil; !e.Continued {
		by = c.judge()
	}
	if !e.Continued && !e.Renews {
		r.Call.Before = c.attempts
		c.attempts++
	}
	most := c.verdictTime(r.Method)
	answered := c.lend(now, most)
	ctx, cancel := context.WithTimeout(c.srv.ctx, most)
	s.asked, s.cancel = e.Ticket, cancel
	c.srv.run.Go(func() {
		defer cancel()
		answer, err := c.backend(ctx, by, r)
		r.Password.Zero()
		c.do(func(now time.Time) {
			answered(now)
			if answer.Verdict == auth.PasswordExpired {
				c.lend(now, ppp.ChangeTime) // to think of another one
			}
			if s.asked == e.Ticket {
				s.cancel, s.next = nil, answer.Next
			}
			if c.has(s) {
				s.Verdict(now, e.Ticket, c.bound(), answer, err)
			} else if err == nil && answer.Verdict == auth.Accepted && c.caller == nil && !e.Renews {
				c.unused(now, s, r, answer.Grant)
			}
		})
	})
}

// judge is who decides about users.
func (c *Conn) judge() auth.Backend {
	if c.calling != nil {
		return c.calling.Peer
	}
	return c.srv.cfg.Backend
}

// shortPatience is how long Apple's clients, and those that use PAP, wait for a verdict: half a
// minute. The others wait for a minute.
const shortPatience = 28 * time.Second

// verdictTime is the most time for a verdict that the client still waits for.
func (c *Conn) verdictTime(m auth.Method) time.Duration {
	if m == auth.PAP || c.peer.Kind == ike.ClientApple {
		return min(c.policy.AuthTimeout, shortPatience)
	}
	return c.policy.AuthTimeout
}

// backend lets a backend decide. A request that panics gets no verdict, and no other
// connection is affected.
func (c *Conn) backend(ctx context.Context, by auth.Backend, r *auth.Request) (answer auth.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.observe(Panicked{Who{Conn: c.id}, v, debug.Stack()})
			answer, err = auth.Response{}, errBackend
		}
	}()
	if by == nil {
		return auth.Response{}, errNoPeer
	}
	return by.Authenticate(ctx, r)
}

// errNoPeer says that a server authenticates itself of whom nothing is known.
var errNoPeer = errors.New("nobody has asked who the server is")

var errBackend = errors.New("an error in the authentication backend")

// authCall describes a session's origin to the backend and for accounting. That stays as it was
// first said, wherever its client moves: accounting servers know a session and its address by
// all of it.
func (c *Conn) authCall(s *call, id string) auth.Call {
	if s.origin == nil || s.origin.SessionID != id {
		origin := c.origin(id)
		origin.RASName, origin.RASVersion = s.says.RASName, s.says.RASVersion
		s.origin = &origin
	}
	return *s.origin
}

func (c *Conn) origin(id string) auth.Call {
	info := "L2TP/IPsec"
	if c.kids.sending != nil {
		info += " " + c.kids.sending.Suite.String()
	}
	return auth.Call{
		PortID:     fmt.Sprintf("l2tp-%d", c.id),
		Info:       info,
		SessionID:  id,
		Port:       uint32(c.id),
		Remote:     c.path.Remote,
		Local:      c.path.Local,
		ClientName: c.host,
		Group:      c.peer.Group,
		Certified:  c.peer.Auth != ike.AuthPSK,
	}
}

// bound is what phase 1 says about the user.
func (c *Conn) bound() session.Bound {
	return session.Bound{Group: c.peer.Group, Certificate: c.peer.Auth != ike.AuthPSK}
}

// account passes on one accounting record.
func (c *Conn) account(s *call, r auth.Record) {
	if c.srv.cfg.Accountant == nil {
		return
	}
	id := r.Call.SessionID
	r.Call = c.authCall(s, id)
	switch {
	case c.multi == "":
		c.multi = id
	case c.multi != id:
		c.several = true
	}
	if c.several {
		r.Call.Multi, r.Call.Links = c.multi, c.up()
	}
	c.srv.cfg.Accountant.Account(r)
}

// up is how many of the connection's sessions are up.
func (c *Conn) up() (n uint32) {
	for _, s := range c.calls {
		if s.Up() {
			n++
		}
	}
	return n
}

// unused accounts for what was granted to a user who had hung up by then.
func (c *Conn) unused(now time.Time, s *call, r *auth.Request, g auth.Grant) {
	if g.User == "" {
		g.User = r.User
	}
	for _, record := range auth.Unused(r.Call.SessionID, r.Method, g, now, auth.UserRequest) {
		c.account(s, record)
	}
}
