package vpn

import (
	"errors"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// Why messages of IKE are dropped before any ISAKMP SA has seen them. Every drop
// is a PacketRefused or a FirstMessageRefused, with one of these or of package
// ike's.
var (
	ErrTooLarge  = errors.New("message is larger than any of IKE needs to be")
	ErrUnknownSA = errors.New("no ISAKMP SA and no handshake has these cookies: it is over, was never here, or went on too late")
	ErrBusy      = errors.New("too many messages wait: the peer has to repeat it")
	ErrOther     = errors.New("a first message with the cookie of another one that was answered")
	ErrEvicted   = errors.New("evicted by newer handshakes while it waited for processor time")
	ErrStopping  = errors.New("the server stops")
)

// DropReasons are all of these, for who counts them.
func DropReasons() []error {
	return []error{ErrTooLarge, ErrUnknownSA, ErrBusy, ErrOther, ErrEvicted, ErrStopping}
}

// drop reports a message of IKE that nobody took. No lock may be held.
func (s *Server) drop(path ike.Path, why error) {
	s.cfg.Observer.Observe(PacketRefused{Who: Who{Remote: path.Remote, Local: path.Local}, Layer: LayerIKE, Why: why})
}

// pathOf is where a message of IKE came from and arrived.
func pathOf(n dataplane.Note) ike.Path {
	return ike.Path{Local: n.Local, Remote: n.Remote, Marker: n.Marker}
}
