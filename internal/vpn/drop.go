package vpn

import (
	"errors"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/gate"
	"github.com/adit-vpn/adit/internal/halfopen"
)

// Why IKE messages are dropped before any ISAKMP SA has seen them. Every drop is a
// PacketRefused or a FirstMessageRefused, with one of these reasons, one of those below,
// or one from the layer's own package.
var (
	ErrTooLarge  = errors.New("larger than any message of IKE")
	ErrUnknownSA = halfopen.ErrUnknownSA
	ErrBusy      = halfopen.ErrBusy
	ErrLate      = halfopen.ErrLate
	ErrEvicted   = gate.ErrEvicted
	ErrStopping  = errors.New("the server stops")
	ErrStale     = gate.ErrStale
)

// DropReasons lists all of these, for code that counts them.
func DropReasons() []error {
	return []error{ErrTooLarge, ErrUnknownSA, ErrBusy, ErrLate, ErrEvicted, ErrStopping, ErrStale, ErrLeaving, ErrElsewhere, ErrNoTunnel, ErrNoSession}
}

// drop reports an IKE message that was not handled. No lock may be held.
func (s *Server) drop(path ike.Path, why error) {
	s.cfg.Observer.Observe(PacketRefused{Who: whoAt(path, 0), Layer: LayerIKE, Why: why})
}
