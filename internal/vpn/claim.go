package vpn

import (
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
)

// macOS and iOS keep their L2TP tunnel when their own address changes: they negotiate
// IPsec again from the new address, and send HELLO on the old tunnel. Their phase 1 looks
// like that of a stranger with the same pre-shared key, and a tunnel id has only 16 bits
// that anybody may guess. So the stranger is challenged as the tunnel's user, by CHAP
// inside the new ESP SAs, which RFC 1994 lets an authenticator do at any time. A stranger
// that passes takes over the tunnel, the session, the address and the accounting as they
// are. The connection that has them notices nothing before that.

// claim is a pending check whether another connection's tunnel belongs to this client.
type claim struct {
	from    *Conn
	held    held
	call    *call  // only carries the challenge, no user traffic
	waiting []byte // the last control message for the tunnel
	spi     uint32 // of the pair on which that message came
}

// held is what a connection has that another may claim.
type held struct {
	tunnel, peerTunnel uint16 // 0: nothing can be claimed
	call               l2tp.Session
	id                 string // Acct-Session-Id
	user               string
	method             auth.Method
}

// maxClaims bounds how often one connection may name a tunnel that does not belong to it.
const maxClaims = 3

// held returns what may be claimed of this connection: a tunnel with one session whose
// user was authenticated by a challenge.
func (c *Conn) held() held {
	if c.tunnel == nil || len(c.calls) != 1 || !c.calls[0].Up() || c.caller != nil || !c.drain.IsZero() {
		return held{}
	}
	s := c.calls[0]
	if !session.Challenges(s.Method()) {
		return held{}
	}
	return held{c.tunnel.ID(), c.peerTunnel, s.l2tp, s.ID(), s.User(), s.Method()}
}

// claimTunnel begins to check whether a control message for a tunnel that does not belong
// to this connection comes from that tunnel's client. It reports whether that check is
// running.
func (c *Conn) claimTunnel(now time.Time, spi uint32, msg []byte) bool {
	if c.caller != nil || c.user != "" || !c.drain.IsZero() || c.kids.sending == nil {
		return false
	}
	id, ok := l2tp.TunnelID(msg)
	if !ok || id == 0 {
		return false
	}
	if c.claim != nil {
		if c.claim.held.tunnel == id {
			c.claim.waiting, c.claim.spi = msg, spi
		}
		return true
	}
	if c.claims == maxClaims {
		return false
	}
	c.claims++ // whether or not it is found: the search visits all connections
	from, h := c.holder(id)
	if from == nil {
		return false
	}
	c.claim = &claim{from: from, held: h, waiting: msg, spi: spi, call: c.newCall(h.call, c.kids.trip, func(env session.Env) *session.Session {
		return session.Challenge(env, h.id, h.user, h.method, now)
	})}
	c.changed = true
	return true
}

// holder finds the connection that has the tunnel, if its client showed the same
// pre-shared key or certificate as this connection's client.
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
	if s := c.claim.call; s.cancel != nil {
		s.cancel()
	}
	c.claim = nil
	c.changed = true
}

// pumpClaim drains the events of the challenge.
func (c *Conn) pumpClaim(now time.Time) (any bool) {
	for c.claim != nil && !c.ended {
		s := c.claim.call
		e, ok := s.NextEvent()
		if !ok {
			break
		}
		any = true
		switch e := e.(type) {
		case session.Send:
			c.sendFrame(now, s, e.Frame)
		case session.Ask:
			c.ask(now, s, e)
		case session.Judged: // only the tunnel's own user passes the challenge
			c.observe(c.authDone(e))
		case session.Passed:
			c.takeTunnel()
		case session.Failed:
			c.shut(now, EndAuth)
		case session.Ended:
			if e.Why != 0 {
				c.dropClaim()
			}
		default: // other events do not matter for a challenge
		}
	}
	return any && !c.ended
}

// takeTunnel asks the other connection to hand over the tunnel, after this client has
// proved that the tunnel is its own. Meanwhile the other connection waits on its
// goroutine, so that nobody else touches what is handed over.
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

// inherit takes over from another connection, which waits, everything that belongs to
// this client.
func (c *Conn) inherit(now time.Time, k *claim) {
	from := k.from
	c.dropClaim()
	c.tunnel, c.peerTunnel, c.host, c.calls = from.tunnel, from.peerTunnel, from.host, from.calls
	c.multi, c.several = from.multi, from.several
	from.tunnel, from.calls = nil, nil
	c.begun(now, k.spi)
	c.under = c.phaseOf(k.spi)
	c.linger = time.Time{}
	c.welcome()
	for _, s := range c.calls {
		s.Inherit(&c.policy.Policy, c.id)
		c.user = s.User()
		if s.port != nil {
			if err := c.attach(s, s.route); err != nil { // it has led to this session before
				c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
				continue
			}
			s.port.Lead(c.slot, s.data)
		}
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
