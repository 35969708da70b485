package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/halfopen"
)

// maxIKEMessage bounds what is copied for a connection. Certificate chains fit, and
// without fragmentation no useful message is larger.
const maxIKEMessage = 16 << 10

// IKE implements dataplane.Control: it passes a message to the connection that has its
// cookies, or else to the greeter, whose answer may be returned at once. It never blocks.
func (s *Server) IKE(reply []byte, local, remote netip.AddrPort, marker bool, msg []byte) []byte {
	path, now := ike.Path{Local: local, Remote: remote, Marker: marker}, time.Now()
	h, err := ike.Peek(msg)
	switch {
	case err != nil:
		s.drop(path, err)
		return reply
	case h.Length > maxIKEMessage:
		s.drop(path, ErrTooLarge)
		return reply
	}
	msg = msg[:h.Length]
	if s.pass(h.Cookies, noteOf(path, msg)) {
		return reply
	}
	return s.greeter.Receive(reply, now, path, h.Cookies, msg)
}

// newcomers connects the greeter to a server: it answers its questions, and is told what
// it drops.
type newcomers struct{ srv *Server }

var (
	_ halfopen.Connections = newcomers{}
	_ halfopen.Observer    = newcomers{}
)

func (s *Server) newGreeter() *halfopen.Greeter {
	p := s.cfg.Policy
	return halfopen.New(halfopen.Config{
		Policy:      func() *ike.Policy { return s.policy.Load().IKE },
		Rand:        s.cfg.Rand,
		Gate:        s.gate,
		Send:        s.sendIKE,
		Connections: newcomers{s},
		Observer:    newcomers{s},
		Records:     p.HalfOpen,
		Bytes:       halfOf(p.StrangerMemory),
	})
}

// Routed implements halfopen.Connections.
func (n newcomers) Routed(cookies ike.Cookies) (halfopen.Route, bool) {
	c := n.srv.routed(cookies)
	if c == nil {
		return halfopen.Route{}, false
	}
	return halfopen.Route{Began: c.born, Negotiates: c.negotiates()}, true
}

// negotiates reports whether a connection has not had any ESP SAs yet.
func (c *Conn) negotiates() bool {
	st := c.info.Load()
	return st == nil || !st.was
}

// Pass implements halfopen.Connections.
func (n newcomers) Pass(cookies ike.Cookies, path ike.Path, msg []byte) bool {
	return n.srv.pass(cookies, noteOf(path, msg))
}

// Begin implements halfopen.Connections.
func (n newcomers) Begin(now time.Time, h halfopen.Handshake) {
	c := n.srv.newConn(now, h.Path)
	if c == nil {
		n.srv.drop(h.Path, ErrStopping)
		return
	}
	c.beginWith(h.First)
	c.Deliver(noteOf(h.Path, h.Third)) // before its cookies lead there, so that no message overtakes it
	sa := c.addPhase1(h.Embryo.Cookies, func(env ike.Env) *ike.SA { return ike.Respond(env, h.Embryo, now) })
	sa.half, sa.since = true, now
	c.start()
}

// Dropped implements halfopen.Observer.
func (n newcomers) Dropped(from ike.Path, why error) { n.srv.drop(from, why) }

// Refused implements halfopen.Observer.
func (n newcomers) Refused(from ike.Path, why error) {
	n.observe(FirstMessageRefused{whoAt(from, 0), why})
}

// GroupUnknown implements halfopen.Observer.
func (n newcomers) GroupUnknown(from ike.Path, client ike.ClientKind, group string) {
	n.observe(GroupUnknown{whoAt(from, client), group})
}

// Unanswered implements halfopen.Observer.
func (n newcomers) Unanswered(from ike.Path, client ike.ClientKind) {
	n.observe(AggressiveUnanswered{whoAt(from, client)})
}

// Panicked implements halfopen.Observer.
func (n newcomers) Panicked(from ike.Path, value any, stack []byte) {
	n.observe(Panicked{whoAt(from, 0), value, stack})
}

func (n newcomers) observe(e Event) { n.srv.cfg.Observer.Observe(e) }

// whoAt names a peer before it has a connection.
func whoAt(p ike.Path, client ike.ClientKind) Who {
	return Who{Remote: p.Remote, Local: p.Local, Client: client}
}

func (s *Server) sendIKE(p ike.Path, msg []byte) {
	// If it cannot be sent it is lost, like any datagram: the peer will repeat its
	// message.
	_ = s.plane.SendIKE(p.Local, p.Remote, p.Marker, msg)
}

// noteOf makes an IKE message into a note, as from the data path.
func noteOf(p ike.Path, msg []byte) dataplane.Note {
	return dataplane.Note{Kind: dataplane.NoteIKE, Marker: p.Marker, Local: p.Local, Remote: p.Remote, Data: msg}
}

// pathOf is the path on which an IKE message came.
func pathOf(n dataplane.Note) ike.Path {
	return ike.Path{Local: n.Local, Remote: n.Remote, Marker: n.Marker}
}
