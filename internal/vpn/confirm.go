package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// settleTime is how long message 3 of ours may be on its way, or be asked for
// again, before sending moves to the new pair without a sign that the peer has
// it: strongSwan asks after 4 seconds and after 11.
const settleTime = 12 * time.Second

// shownAt is the one address that all copies of a message went to.
type shownAt struct {
	addr  netip.Addr
	moved bool // they went to several
}

// answered says that a message of p went to a. Without message 2 of the peer's
// Quick Mode, in which our nonce is, it has none of the keys: who uses a pair is
// where that message went. (Of a Quick Mode of ours message 1 says as much; but
// that went to where the peer was known to be.)
func (k *children) answered(p *phase1, a netip.Addr) {
	for _, kid := range k.pairs {
		if kid.phase != p || kid.confirmed || kid.Initiator {
			continue
		}
		kid.heard.went(a)
	}
}

// went notes where a copy goes.
func (s *shownAt) went(a netip.Addr) {
	s.moved = s.moved || s.addr.IsValid() && s.addr != a
	s.addr = a
}

// agreed acts on message 3 of a pair: the peer has the pair if the peer sent it.
// If we did, it may be lost, or the peer slow, and what left on the new pair would
// be lost, too: sending stays on the old one, as long as the peer has that, until
// the peer uses the new one or must have it by now.
func (c *Conn) agreed(now time.Time, inSPI uint32) {
	if !c.settleBy(now, inSPI) {
		c.confirm(now, inSPI)
	}
}

// settleBy begins to wait, or begins again, for the peer to use a pair of which we
// sent message 3. It reports whether there is another to send on meanwhile.
func (c *Conn) settleBy(now time.Time, inSPI uint32) bool {
	for _, p := range c.kids.pairs {
		if p.InSPI != inSPI || p.confirmed || !p.Initiator || c.kids.sending == nil || c.kids.sending == p {
			continue
		}
		p.settles = machine.Earliest(now.Add(settleTime), c.kids.sending.ends)
		return true
	}
	return false
}

// confirm says that the peer has the pair of this inbound SPI: sending moves
// there, unless a newer pair sends already.
func (c *Conn) confirm(now time.Time, inSPI uint32) {
	for i, p := range c.kids.pairs {
		if p.InSPI != inSPI || p.confirmed {
			continue
		}
		if !c.showed(now, p) {
			return
		}
		p.confirmed, p.settles = true, time.Time{}
		if !p.Initiator {
			c.kids.trip = max(now.Sub(p.born), 1)
		}
		if c.kids.newer(i) && !p.deleted {
			c.send(p)
		}
		c.observe(ChildUp{c.who(), p.Child})
		c.told = false
		c.carry(now)
		c.dialChildUp(now)
		return
	}
}

// showed draws the conclusion from a pair that is used: its peer is where message
// 2 went. It reports whether the pair's phase 1 is this connection's peer's.
func (c *Conn) showed(now time.Time, p *pair) bool {
	if !p.heard.moved {
		c.arrived(p.heard.addr)
	}
	if p.phase == nil || !p.phase.unheard {
		return true
	}
	if p.heard.moved || p.heard.addr != c.path.Remote.Addr() {
		return false
	}
	c.own(p.phase, p.phase.Peer())
	c.resume(now)
	c.stay(now) // it may have deleted its old pair before
	return true
}

// newer reports whether pair i is younger than the one that sends.
func (k *children) newer(i int) bool {
	for _, p := range k.pairs[i+1:] {
		if p == k.sending {
			return false
		}
	}
	return true
}
