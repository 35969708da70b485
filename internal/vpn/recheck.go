package vpn

import (
	"errors"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/gate"
)

// errNoAuthority says that certificates were removed from the configuration.
var errNoAuthority = errors.New("there are no certificates in the configuration any more")

// Recheck ends the connections whose certificates the present policy no longer accepts:
// those that were revoked, and those whose CA was removed. Otherwise their phases 1 would
// last as long as their clients like, since clients choose the lifetime.
func (s *Server) Recheck() {
	for _, c := range s.all() {
		c.do(c.recheck)
	}
}

// recheck has the peer's certificate verified again.
func (c *Conn) recheck(now time.Time) {
	if c.slot == nil || c.caller != nil || len(c.peer.Chain) == 0 || c.ended || !c.drain.IsZero() {
		return
	}
	// A peer that has just finished its handshake has no user yet, but this check is our
	// own.
	leave, err := c.srv.gate.Enter(gate.Users, c.path.Remote.Addr(), false, c.gone)
	if err != nil {
		return
	}
	err = c.judgeAgain(now)
	leave(false)
	if err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: fmt.Errorf("%w: %w", ike.ErrCertificate, err)})
		c.shut(now, EndCertificate)
	}
}

func (c *Conn) judgeAgain(now time.Time) error {
	authority := c.srv.policy.Load().IKE.Authority
	if authority == nil {
		return errNoAuthority
	}
	_, err := authority.Verify(now, c.peer.Chain)
	return err
}
