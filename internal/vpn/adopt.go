package vpn

import (
	"bytes"
	"net/netip"
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
	at   netip.Addr // where the peer has received an answer of ours; invalid: nowhere
}

// maxPhases bounds a connection's ISAKMP SAs: one, its successor, and one
// that a client forgot.
const maxPhases = 3

func (c *Conn) identity(p ike.Peer, path ike.Path) {
	own := &identity{psk: p.PSK, cert: p.Fingerprint, id: bytes.Clone(p.ID)}
	if c.shown(path) {
		own.at = path.Remote.Addr()
	}
	c.ident.Store(own)
}

// shown reports whether a peer that is not authenticated yet is really where
// its message 5 says: c.path is where message 4 went, without which there is no
// message 5. The port changes between the two, the address does not (RFC 3947,
// section 4). Who knows the pre-shared key may forge the source of every later
// message.
func (c *Conn) shown(path ike.Path) bool {
	return c.path.Remote.Addr() == path.Remote.Addr()
}

// arrived says that what was sent to the peer's new address came to the peer:
// whoever has the keys may forge a source, but hears nothing there.
func (c *Conn) arrived() {
	if old := c.ident.Load(); old != nil {
		own := *old
		own.at = c.path.Remote.Addr()
		c.ident.Store(&own)
	}
}

// reached reports whether this connection's peer has shown that it is at a.
func (c *Conn) reached(a netip.Addr) bool {
	own := c.ident.Load()
	return own != nil && own.at == a
}

// proves reports whether two peers showed the same pre-shared key, or the same
// certificate.
func (i *identity) proves(o *identity) bool { return i.psk == o.psk && i.cert == o.cert }

// same reports whether they showed the same identification, too.
func (i *identity) same(o *identity) bool { return i.proves(o) && bytes.Equal(i.id, o.id) }

// matches reports whether a new phase 1 from this connection's endpoint is the
// same peer's: what it showed is the same, and this connection did not only
// claim to be there.
func (c *Conn) matches(p ike.Peer, path ike.Path) bool {
	own := c.ident.Load()
	return c.reached(path.Remote.Addr()) && own.same(&identity{psk: p.PSK, cert: p.Fingerprint, id: p.ID})
}

// join hands this connection's only ISAKMP SA to another and ends. Messages
// that wait here go along.
func (c *Conn) join(now time.Time, other *Conn) {
	p := c.phases[0]
	c.phases = nil
	c.srv.claim(p.cookies, other)
	peer, path := c.peer, c.path
	var waiting []dataplane.Note
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
		case <-other.done: // it ended meanwhile: the client begins again
			c.srv.unclaim(p.cookies, other)
		}
	})
	c.finish(now, EndAdopted)
}

// adopt makes p an ISAKMP SA of this connection.
func (c *Conn) adopt(now time.Time, p *phase1, peer ike.Peer, path ike.Path, waiting []dataplane.Note) {
	if c.ended || !c.drain.IsZero() {
		// This connection said goodbye meanwhile: the client begins again.
		c.early = nil
		c.srv.unclaim(p.cookies, c)
		p.Close(now, ike.ReasonReplaced)
		return
	}
	p.owner = c
	c.phases = append(c.phases, p)
	if len(c.phases) > maxPhases {
		c.srv.unclaim(c.phases[0].cookies, c)
		c.phases = c.phases[1:]
	}
	c.peer = peer
	c.stay(now)
	c.move(now, path)
	c.logPhaseKey(p)
	c.observe(PhaseOneUp{c.who(), peer, true})
	waiting = append(waiting, c.early...)
	c.early = nil
	for _, n := range waiting {
		c.receive(now, n)
	}
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
