package halfopen

import (
	"errors"

	"github.com/adit-vpn/adit/ike"
)

// Why messages are dropped, in addition to the errors of package ike.
var (
	ErrUnknownSA = errors.New("no ISAKMP SA or handshake has these cookies")
	ErrBusy      = errors.New("too many messages wait")
	ErrLate      = errors.New("a copy of a first message whose handshake has gone on")
)

// drop reports a message that nobody took.
func (g *Greeter) drop(path ike.Path, why error) { g.cfg.Observer.Dropped(path, why) }
