package vpn

import (
	"errors"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// macOS and iOS keep their L2TP tunnel when their own address changes: they
// negotiate IPsec anew from the new one, and say HELLO on the old tunnel. Their
// phase 1 is that of a stranger with the same pre-shared key, and a tunnel id
// has 16 bits that anybody may guess. So the stranger is challenged as the
// tunnel's user, by CHAP inside the new ESP SAs, which RFC 1994 lets an
// authenticator do at any time. Who passes takes tunnel, session, address and
// accounting over as they are. The connection that has them so far notices
// nothing before.

// claim is the question whether another connection's tunnel is this client's.
type claim struct {
	from    *Conn
	held    held
	session *session // for the challenge alone; no user traffic passes
	waiting []byte   // the last control message of the tunnel
}

// held is what a connection has that another may claim.
type held struct {
	tunnel, peerTunnel uint16 // 0: nothing
	call               l2tp.Session
	id                 string // Acct-Session-Id
	user               string
	method             ppp.Method
}

// maxClaims bounds how often one connection may name a tunnel that is not its own.
const maxClaims = 3

var errNotTheirs = errors.New("another user answered than the one whose tunnel was claimed")

// held is what may be claimed of this connection: a tunnel with one session,
// whose user was authenticated by a challenge.
func (c *Conn) held() held {
	if c.tunnel == nil || len(c.calls) != 1 || !c.calls[0].up || c.dialer != nil || !c.drain.IsZero() {
		return held{}
	}
	s := c.calls[0]
	h := held{c.tunnel.ID(), c.peerTunnel, s.l2tp, s.id, s.grant.User, 0}
	switch s.method {
	case auth.MSCHAPv2:
		h.method = ppp.MethodMSCHAPv2
	case auth.CHAP:
		h.method = ppp.MethodCHAP
	case auth.PAP:
		return held{}
	}
	return h
}

// claimTunnel begins to find out whether a control message for a tunnel that is
// not this connection's comes from that tunnel's client. It reports whether
// that is under way.
func (c *Conn) claimTunnel(now time.Time, msg []byte) bool {
	if c.dialer != nil || c.user != "" || !c.drain.IsZero() || c.kids.sending == nil {
		return false
	}
	id, ok := l2tp.TunnelID(msg)
	if !ok || id == 0 {
		return false
	}
	if c.claim != nil {
		if c.claim.held.tunnel == id {
			c.claim.waiting = msg
		}
		return true
	}
	if c.claims == maxClaims {
		return false
	}
	c.claims++ // found or not: the search goes through all connections
	from, h := c.holder(id)
	if from == nil {
		return false
	}
	c.claim = &claim{from: from, held: h, waiting: msg, session: &session{
		conn: c, l2tp: h.call, id: h.id,
		data: dataplane.NewSession(h.call.Local, h.call.Remote, h.call.Sequencing),
		link: ppp.Rechallenge(ppp.Env{Config: c.policy.PPP, Rand: c.srv.cfg.Rand, RoundTrip: c.kids.trip}, h.method, now),
	}}
	c.changed = true
	return true
}

// holder finds the connection of a tunnel whose client showed the same
// pre-shared key, or certificate, as this one's.
func (c *Conn) holder(tunnel uint16) (*Conn, held) {
	own := c.ident.Load()
	for _, other := range c.srv.all() {
		st, id := other.info.Load(), other.ident.Load()
		if other != c && st != nil && id != nil && own != nil && st.held.tunnel == tunnel &&
			st.Client == c.peer.Kind && id.proves(own) {
			return other, st.held
		}
	}
	return nil, held{}
}

func (c *Conn) dropClaim() {
	if c.claim == nil {
		return
	}
	if a := c.claim.session.asked; a != nil {
		a.cancel()
	}
	c.claim = nil
	c.changed = true
}

// pumpClaim drains the events of the challenge.
func (c *Conn) pumpClaim(now time.Time) (any bool) {
	for c.claim != nil && !c.ended {
		e, ok := c.claim.session.link.NextEvent()
		if !ok {
			break
		}
		any = true
		switch e := e.(type) {
		case ppp.Send:
			c.sendFrame(now, c.claim.session, e.Frame)
		case ppp.AuthRequest:
			c.authenticate(now, c.claim.session, e, c.judgeClaim)
		case ppp.Authenticated:
			c.takeTunnel()
		case ppp.AuthFailed:
			c.shut(now, EndAuth)
		case ppp.Down:
			if e.Why != 0 {
				c.dropClaim()
			}
		default: // nothing else concerns a challenge
		}
	}
	return any && !c.ended
}

// judgeClaim turns the backend's answer into the challenge's. Only the tunnel's
// own user passes.
func (c *Conn) judgeClaim(now time.Time, s *session, a *attempt, r auth.Response, err error) {
	if c.ended || c.claim == nil || c.claim.session != s || s.asked != a {
		return
	}
	s.asked = nil
	event := c.authDone(now, a, r, err)
	user := r.Grant.User
	if user == "" {
		user = a.name
	}
	answer := ppp.AuthAnswer{OK: err == nil && r.Verdict == auth.Accepted, Success: r.Success, Error: r.Code}
	if answer.OK && user != c.claim.held.user {
		answer = ppp.AuthAnswer{}
		event.Verdict, event.Detail = auth.NotAllowed, errNotTheirs.Error()
	}
	if answer.OK {
		event.User = user
	}
	c.observe(event)
	s.link.HandleAuth(now, a.ticket, answer)
}

// takeTunnel asks the connection whose tunnel this client has proved to be its
// own to hand it over. That one waits meanwhile, on its goroutine, so that
// nobody else touches what changes hands.
func (c *Conn) takeTunnel() {
	k := c.claim
	c.srv.run.Go(func() {
		k.from.do(func(now time.Time) {
			if h := k.from.held(); h != k.held {
				c.do(func(time.Time) { c.dropClaim() })
				return
			}
			taken := make(chan struct{})
			c.do(func(now time.Time) {
				if c.claim == k && c.drain.IsZero() {
					c.inherit(now, k)
				}
				close(taken)
			})
			select {
			case <-taken:
			case <-c.done:
			}
			if k.from.tunnel == nil {
				k.from.finish(now, EndMoved)
			}
		})
	})
}

// inherit takes over what another connection, which waits, has of this client.
func (c *Conn) inherit(now time.Time, k *claim) {
	from := k.from
	c.dropClaim()
	c.tunnel, c.peerTunnel, c.host, c.calls = from.tunnel, from.peerTunnel, from.host, from.calls
	from.tunnel, from.calls = nil, nil
	c.under = c.newest()
	c.setup, c.linger = time.Time{}, time.Time{}
	c.srv.arrive(c)
	for _, s := range c.calls {
		s.conn = c
		c.user = s.grant.User
		for _, p := range s.prefixes {
			if err := c.srv.plane.Route(p, c.slot, s.data); err != nil {
				c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
			}
		}
	}
	c.changed = true
	c.publish()
	c.observe(Moved{c.who(), from.path.Remote})
	if err := c.tunnel.HandlePacket(now, k.waiting); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerL2TP, Why: err})
	}
}
