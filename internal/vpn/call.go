package vpn

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// users are a connection's sessions.
type users struct {
	calls    []*call
	user     string // the user of the session that is up; "": no session is up
	attempts uint32 // authentication attempts
	multi    string // the id of the first session that was accounted
	several  bool   // there has been another one
}

// call is one L2TP session with its PPP session and user, and what the data path routes
// to it.
type call struct {
	*session.Session
	l2tp   l2tp.Session
	data   *dataplane.Session
	origin *auth.Call         // where it comes from, as the backend was told
	says   auth.Call          // of that, what its client says in PPP
	asked  uint32             // ticket of the last question to the backend
	cancel context.CancelFunc // cancels that question; nil: it has an answer, or there was none
	next   auth.Backend       // who goes on with the user's exchange of EAP; nil: none is under way

	route    session.Route  // what should lead to it
	prefixes []netip.Prefix // what does lead to it
	lost     []netip.Prefix // networks behind its client that now lead to another session of the user

	port *dataplane.Port // its own device; nil: the common one
}

// traffic counts what the data path carries for a session.
type traffic struct{ *dataplane.Session }

// Carried implements session.Traffic.
func (t traffic) Carried() session.Counters { return session.Counters(t.Counters()) }

// newCall makes a call for an L2TP session, with the PPP session that build returns.
func (c *Conn) newCall(at l2tp.Session, roundTrip time.Duration, build func(session.Env) *session.Session) *call {
	data := dataplane.NewSession(at.Local, at.Remote, at.Sequencing)
	return &call{l2tp: at, data: data, Session: build(session.Env{
		Shared: &c.srv.shared, PPP: c.pppConfig(), Policy: &c.policy.Policy, Traffic: traffic{data}, RoundTrip: roundTrip, Number: c.id,
	})}
}

// addCall begins PPP on an established L2TP session.
func (c *Conn) addCall(now time.Time, at l2tp.Session, roundTrip time.Duration) {
	s := c.newCall(at, roundTrip, session.New)
	c.calls = append(c.calls, s)
	c.stay(now)
	c.changed = true
	c.publish()
	s.Start(now)
}

func (c *Conn) pppConfig() *ppp.Config {
	if c.caller != nil {
		return c.calling.PPP
	}
	return c.policy.PPP
}

func (c *Conn) call(local uint16) *call {
	for _, s := range c.calls {
		if s.l2tp.Local == local {
			return s
		}
	}
	return nil
}

// has reports whether the connection still has this call.
func (c *Conn) has(s *call) bool {
	return !c.ended && (c.call(s.l2tp.Local) == s || c.claim != nil && c.claim.call == s)
}

// ErrNoSession says that a frame came for a session that has ended or never existed.
var ErrNoSession = errors.New("a PPP frame for a session that does not exist")

// receiveFrame hands a PPP frame to its session.
func (c *Conn) receiveFrame(now time.Time, local uint16, frame []byte) {
	s := c.call(local)
	if s == nil && c.claim != nil && c.claim.call.l2tp.Local == local {
		s = c.claim.call
	}
	if s == nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: ErrNoSession})
		return
	}
	if c.tunnel != nil {
		c.tunnel.HandleData(now)
	}
	if err := s.HandleFrame(now, frame); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
	}
}

// receivePacket passes an IP packet that is addressed to the server to its session.
func (c *Conn) receivePacket(local uint16, b []byte) {
	s := c.call(local)
	if s == nil || !s.Up() {
		return
	}
	if c.caller != nil {
		c.caller.Packet(b)
		return
	}
	if err := s.HandleIP(b); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
	}
}

func (c *Conn) sendFrame(now time.Time, s *call, frame []byte) {
	if c.slot == nil {
		return
	}
	c.publish()
	c.sent = now
	// If it cannot be sent it is lost, like any datagram: PPP will repeat it.
	_ = c.slot.SendFrame(s.data, frame)
}

// endCall takes a session down, whichever side ended it. It is idempotent.
func (c *Conn) endCall(now time.Time, s *call, cause auth.Cause, why ppp.Reason) {
	kept := c.calls[:0]
	found := false
	for _, other := range c.calls {
		if other == s {
			found = true
			continue
		}
		kept = append(kept, other)
	}
	if !found {
		return
	}
	clear(c.calls[len(kept):])
	c.calls = kept
	if s.cancel != nil {
		s.cancel()
	}
	s.End(now, cause, why)
	c.drainEnded(now, s)
	s.Release() // nothing leads to the session any more
	c.drainEnded(now, s)
	c.changed = true
	c.user = ""
	for _, other := range c.calls {
		if user := other.User(); user != "" {
			c.user = user
		}
	}
	if c.user == "" {
		c.miss(now)
	}
}
