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

// identity is what a phase 1 must show to join a connection. Other
// connections' goroutines read it.
type identity struct {
	psk  string
	cert [32]byte // fingerprint of its certificate; zero: it has none
	id   []byte
	at   []netip.Addr // where the peer has received an answer of ours, newest first
}

// maxAddresses bounds the addresses that a peer has shown itself at: ports 500
// and 4500 may leave from two, and may have moved.
const maxAddresses = 4

// maxPhases bounds a connection's ISAKMP SAs: one, its successor, and one
// that a client forgot.
const maxPhases = 3

// identity notes what a peer showed in phase 1, and where it received message 4,
// without which there is no message 5. Message 5 itself may come from elsewhere:
// from another port (RFC 3947, section 4), whose public address may be another (RFC
// 4787, section 4.1), or from nowhere at all, for who knows the pre-shared key may
// forge the source of every later message.
func (c *Conn) identity(p ike.Peer, heard netip.Addr) {
	c.ident.Store(&identity{psk: p.PSK, cert: p.Fingerprint, id: bytes.Clone(p.ID), at: []netip.Addr{heard}})
}

// arrived says that what was sent to an address came to the peer: whoever has the
// keys may forge a source, but hears nothing there.
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

// same reports whether they showed the same identification, too.
func (i *identity) same(o *identity) bool { return i.proves(o) && bytes.Equal(i.id, o.id) }

// matches reports whether a new phase 1 from this connection's endpoint may be the
// same peer's: what it showed is the same, and this connection did not only claim
// to be there. It is the same peer's if that received message 4 at an address that
// this one has reached; at another, message 5 may be forged: see parked.
func (c *Conn) matches(p ike.Peer, path ike.Path) bool {
	own := c.ident.Load()
	return c.reached(path.Remote.Addr()) && own.same(&identity{psk: p.PSK, cert: p.Fingerprint, id: p.ID})
}

// join hands this connection's only ISAKMP SA to another and ends. Messages
// that wait here go along, behind the first.
func (c *Conn) join(now time.Time, other *Conn, first ...dataplane.Note) {
	p := c.phases[0]
	c.phases = nil
	c.srv.claim(p.cookies, other)
	peer, path := c.peer, c.path
	waiting := first
	for more := true; more; {
		select {
		case n := <-c.inbox:
			c.taken(n)
			waiting = append(waiting, n)
		default:
			more = false
		}
	}
	// A goroutine of its own: two connections that hand to each other must
	// not wait for each other.
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

// dismiss tells the peer of a phase 1 that was to join a connection which has
// said goodbye meanwhile to begin again, and drops the messages that waited for it.
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
	if p.fetched { // wherever the peer is now
		path = c.path
		p.Move(path)
	}
	if c.ended || p.unheard && (path != c.path || !c.drain.IsZero()) || !c.resume(now) {
		c.srv.dismiss(now, p, c, append(waiting, c.early...))
		c.early = nil
		return
	}
	p.owner = c
	p.asked = shownAt{}
	c.phases = append(c.phases, p)
	c.crowdPhases()
	c.logPhaseKey(p)
	if !p.unheard {
		c.stay(now)
		c.own(p, peer)
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

// own says that a phase 1 is this connection's peer's.
func (c *Conn) own(p *phase1, peer ike.Peer) {
	p.unheard = false
	c.peer = peer
	c.observe(PhaseOneUp{c.who(), peer, true})
}

// crowdPhases keeps the number of ISAKMP SAs bounded. What only claims to be this
// peer's goes first.
func (c *Conn) crowdPhases() {
	if len(c.phases) <= maxPhases {
		return
	}
	victim := max(slices.IndexFunc(c.phases, func(p *phase1) bool { return p.unheard }), 0)
	c.srv.unclaim(c.phases[victim].cookies, c)
	c.phases = slices.Delete(c.phases, victim, victim+1)
}

// maxEarly bounds the messages that wait for their ISAKMP SA.
const maxEarly = 4

// keep holds a message that came before the ISAKMP SA which join hands to this
// connection: its cookies lead here by then, adopt may not have run yet, and a
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

// addresses are the server's addresses as authenticated clients dialled them,
// newest first. They are candidates for our identification.
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
