package vpn

import (
	"errors"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// Why messages of IKE are dropped before any ISAKMP SA has seen them. Every drop
// is a PacketRefused or a FirstMessageRefused, with one of these, or of those below,
// or of the layer's own package.
var (
	ErrTooLarge  = errors.New("larger than any message of IKE")
	ErrUnknownSA = errors.New("no ISAKMP SA or handshake has these cookies")
	ErrBusy      = errors.New("too many messages wait")
	ErrLate      = errors.New("a copy of a first message whose handshake has gone on")
	ErrEvicted   = errors.New("evicted by newer handshakes")
	ErrStopping  = errors.New("the server stops")
)

// DropReasons are all of these, for who counts them.
func DropReasons() []error {
	return []error{ErrTooLarge, ErrUnknownSA, ErrBusy, ErrLate, ErrEvicted, ErrStopping, ErrLeaving, ErrElsewhere, ErrNoTunnel, ErrNoSession}
}

// drop reports a message of IKE that nobody took. No lock may be held.
func (s *Server) drop(path ike.Path, why error) {
	s.cfg.Observer.Observe(PacketRefused{Who: Who{Remote: path.Remote, Local: path.Local}, Layer: LayerIKE, Why: why})
}

// pathOf is where a message of IKE came from and arrived.
func pathOf(n dataplane.Note) ike.Path {
	return ike.Path{Local: n.Local, Remote: n.Remote, Marker: n.Marker}
}
