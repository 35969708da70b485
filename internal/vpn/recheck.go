package vpn

import (
	"errors"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// errNoAuthority says that certificates were taken out of the configuration.
var errNoAuthority = errors.New("there are no certificates in the configuration any more")

// Recheck ends the connections whose certificates the policy in force accepts
// no more: those that were revoked, or whose CA has gone. Their phases 1 would
// otherwise last as long as their clients like, which name the lifetime.
func (s *Server) Recheck() {
	for _, c := range s.all() {
		c.do(c.recheck)
	}
}

// recheck has the peer's certificate judged again.
func (c *Conn) recheck(now time.Time) {
	if c.slot == nil || c.dialer != nil || len(c.peer.Chain) == 0 || c.ended || !c.drain.IsZero() {
		return
	}
	leave, ok := c.srv.gate.enter(true, c.gone)
	if !ok {
		return
	}
	err := c.judgeAgain(now)
	leave()
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
