package vpn

import (
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// phases1 are a connection's ISAKMP SAs.
type phases1 struct {
	path    ike.Path // the peer's endpoint and ours
	peer    ike.Peer // of the newest authenticated phase 1
	phases  []*phase1
	early   []dataplane.Note // messages for a phase 1 that is on its way here
	parked  *parked          // a phase 1 that may belong to another connection; nil: none
	waiting []*Conn          // connections whose parked phase 1 may belong here, newest last
}

// phase1 is one ISAKMP SA of a connection.
type phase1 struct {
	*ike.SA
	since   time.Time // when the peer began it; zero: we did
	owner   *Conn     // the connection that allocates SPIs for it; changes with adoption
	cookies ike.Cookies
	half    bool    // not authenticated yet
	unheard bool    // its peer has not shown yet that it receives at the connection's endpoint
	joined  bool    // its peer has not shown yet that it is the one that has the tunnel
	wrong   int     // packets with ids other than those of the sessions
	asked   shownAt // where our messages went while unheard was true
	begun   bool    // something has been computed for it
	fetched bool    // we asked for it, to renew keys
	told    bool    // the reason why the peer's proof was refused has been reported
	dead    bool
}

// calledAt is when the peer began to call, as far as that is known: with its newest phase 1.
func (c *Conn) calledAt() (at time.Time) {
	for _, p := range c.phases {
		if p.since.After(at) {
			at = p.since
		}
	}
	return at
}

// move follows the peer to another endpoint.
func (c *Conn) move(now time.Time, to ike.Path) {
	if to == c.path || !c.peer.Encap {
		return
	}
	from := c.path.Remote
	c.path = to
	c.changed = true
	c.srv.moved(c, from)
	for _, p := range c.phases {
		p.Move(to)
	}
	if from != to.Remote {
		c.observe(Moved{c.who(), from})
	}
	if from.Addr() != to.Remote.Addr() {
		for _, s := range c.calls {
			s.Prove(now)
		}
	}
}
