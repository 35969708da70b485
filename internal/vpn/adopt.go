package vpn

import (
	"bytes"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// identity is what a phase 1 must show to join a connection. It is read by the goroutines
// of other connections.
type identity struct {
	psk  string
	cert [32]byte // fingerprint of the peer's certificate; zero: none
	id   []byte
	at   []netip.Addr // where the peer has received our answers, newest first
}

// maxAddresses bounds the addresses at which a peer has shown itself: its ports 500 and
// 4500 may be mapped to two addresses, and both may have changed.
const maxAddresses = 4

// maxPhases bounds a connection's ISAKMP SAs: one, its successor, and one
// that a client forgot.
const maxPhases = 3

// identity records what a peer showed in phase 1, and where it received message 4,
// without which there is no message 5. Message 5 itself may come from elsewhere: from
// another port (RFC 3947, section 4), whose public address may be another one (RFC 4787,
// section 4.1), or from a forged address, since a peer that knows the pre-shared key may
// forge the source of every later message.
func (c *Conn) identity(p ike.Peer, heard netip.Addr) {
	c.ident.Store(&identity{psk: p.PSK, cert: p.Fingerprint, id: bytes.Clone(p.ID), at: []netip.Addr{heard}})
}

// arrived records that a message to this address reached the peer: somebody who has the
// keys may forge a source address, but receives nothing there.
func (c *Conn) arrived(a netip.Addr) {
	old := c.ident.Load()
	if old == nil || !a.IsValid() || old.at[0] == a {
		return
	}
	own := *old
	own.at = []netip.Addr{a}
	for _, b := range old.at {
		if b != a && len(own.at) < maxAddresses {
			own.at = append(own.at, b)
		}
	}
	c.ident.Store(&own)
}

// reached reports whether this connection's peer has shown that it is at a.
func (c *Conn) reached(a netip.Addr) bool {
	own := c.ident.Load()
	return own != nil && slices.Contains(own.at, a)
}

// proves reports whether two peers showed the same pre-shared key, or the same
// certificate.
func (i *identity) proves(o *identity) bool { return i.psk == o.psk && i.cert == o.cert }

// same reports whether they also showed the same identification.
func (i *identity) same(o *identity) bool { return i.proves(o) && bytes.Equal(i.id, o.id) }

// matches reports whether a new phase 1 from this connection's endpoint may belong to the
// same peer: it showed the same identity, and this connection's peer has proved to be at
// that address, not only claimed it. It does belong to the same peer if it received
// message 4 at an address that this connection has reached; otherwise message 5 may be
// forged: see parked.
func (c *Conn) matches(p ike.Peer, path ike.Path) bool {
	own := c.ident.Load()
	return c.reached(path.Remote.Addr()) && own.same(&identity{psk: p.PSK, cert: p.Fingerprint, id: p.ID})
}

// join hands this connection's only ISAKMP SA over to another connection, and ends.
// Messages that wait here go along, after first.
func (c *Conn) join(now time.Time, other *Conn, first ...dataplane.Note) {
	p := c.phases[0]
	c.phases = nil
	c.srv.claim(p.cookies, other)
	peer, path := c.peer, c.path
	waiting := first
	for n, ok := c.takeNote(); ok; n, ok = c.takeNote() {
		waiting = append(waiting, n)
	}
	// This needs a goroutine of its own: two connections that hand over to each other
	// must not wait for each other.
	c.srv.run.Go(func() {
		adopted := make(chan struct{})
		other.do(func(now time.Time) {
			defer close(adopted)
			other.adopt(now, p, peer, path, waiting)
		})
		select {
		case <-adopted:
		case <-other.done:
			c.srv.dismiss(time.Now(), p, other, waiting)
		}
	})
	c.finish(now, EndAdopted)
}

// dismiss tells a peer to begin again if its phase 1 was to join a connection that has
// meanwhile said goodbye. It drops the messages that waited for that phase 1.
func (s *Server) dismiss(now time.Time, p *phase1, c *Conn, waiting []dataplane.Note) {
	s.unclaim(p.cookies, c)
	for _, n := range waiting {
		if n.Kind == dataplane.NoteIKE {
			s.drop(pathOf(n), ErrLeaving)
		}
	}
	s.cfg.Observer.Observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: ErrLeaving})
	p.Close(now, ike.ReasonReplaced)
	for e, ok := p.NextEvent(); ok; e, ok = p.NextEvent() {
		if send, ok := e.(ike.Send); ok {
			s.sendIKE(send.Path, send.Data)
		}
	}
}

// adopt makes p an ISAKMP SA of this connection.
func (c *Conn) adopt(now time.Time, p *phase1, peer ike.Peer, path ike.Path, waiting []dataplane.Note) {
	if p.fetched { // use the peer's present path
		path = c.path
		p.Move(path)
	}
	if c.ended || p.unheard && (path != c.path || !c.drain.IsZero()) || !c.resume(now) {
		c.srv.dismiss(now, p, c, append(waiting, c.early...))
		c.early = nil
		return
	}
	p.owner = c
	p.joined = true
	p.asked = shownAt{}
	c.phases = append(c.phases, p)
	c.crowdPhases()
	c.logPhaseKey(p)
	if !p.unheard {
		c.stay(now)
		c.own(now, p, peer)
		c.move(now, path)
	}
	waiting = append(waiting, c.early...)
	c.early = nil
	for _, n := range waiting {
		c.receive(now, n)
	}
	if k := c.kids.sending; p.fetched && !p.dead && k != nil && c.kids.pairs[len(c.kids.pairs)-1] == k {
		c.succeed(now, p, k)
	}
}

// own says that a phase 1 belongs to this connection's peer. If the connection has no
// user, this may be somebody who replaced the previous peer, and gets the time of one
// step.
func (c *Conn) own(now time.Time, p *phase1, peer ike.Peer) {
	p.unheard = false
	if !c.setup.IsZero() {
		c.hurry(now)
	}
	if !c.suspects(p) {
		c.peer = peer
	}
	c.observe(PhaseOneUp{c.who(), peer, true})
}

// crowdPhases bounds the number of ISAKMP SAs. The first to go is one that only claims to
// be this peer's, then one that may be another peer's. The newest is exempt from the
// latter, since it has had no time to show whose it is.
func (c *Conn) crowdPhases() {
	if len(c.phases) <= maxPhases {
		return
	}
	victim := slices.IndexFunc(c.phases, func(p *phase1) bool { return p.unheard })
	if victim < 0 {
		victim = max(0, slices.IndexFunc(c.phases[:len(c.phases)-1], c.suspects))
	}
	c.srv.unclaim(c.phases[victim].cookies, c)
	c.phases = slices.Delete(c.phases, victim, victim+1)
}

// maxEarly bounds the messages that wait for their ISAKMP SA.
const maxEarly = 4

// keep holds a message that arrives before the ISAKMP SA that join hands to this
// connection. Its cookies already lead here, but adopt may not have run yet, and a
// client's Quick Mode follows message 6 at once.
func (c *Conn) keep(n dataplane.Note) {
	h, err := ike.Peek(n.Data)
	switch {
	case err != nil || !c.srv.claimed(h.Cookies, c):
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: ErrUnknownSA})
		return
	case len(c.early) >= maxEarly:
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: ErrBusy})
		return
	}
	c.early = append(c.early, n)
}

// addresses are the server's addresses as authenticated clients dialled them, newest
// first. They are candidates for our identification payload.
type addresses struct{ list atomic.Pointer[[]netip.Addr] }

const maxDialled = 8

// dialled implements ike.Env's Addresses.
func (s *Server) dialled() []netip.Addr {
	if l := s.seen.list.Load(); l != nil {
		return *l
	}
	return nil
}

// learn remembers an address that an authenticated user's client dialled.
func (s *Server) learn(a netip.Addr) {
	if !a.IsValid() || a.IsUnspecified() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.dialled()
	if len(old) > 0 && old[0] == a {
		return
	}
	list := []netip.Addr{a}
	for _, b := range old {
		if b != a && len(list) < maxDialled {
			list = append(list, b)
		}
	}
	s.seen.list.Store(&list)
}
