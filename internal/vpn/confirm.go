package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// settleTime is how long our message 3 may be on its way or be requested again, before
// sending moves to the new pair without a sign that the peer has it: strongSwan requests
// it after 4 seconds and after 11.
const settleTime = 12 * time.Second

// shownAt is the address to which all copies of a message went.
type shownAt struct {
	addr  netip.Addr
	moved bool // they went to several addresses
}

// answered records that a message of p went to a. Message 2 of the peer's Quick Mode
// contains our nonce, and without it the peer has none of the keys: a peer that uses a
// pair is at the address where that message went. (In a Quick Mode of ours, message 1
// proves the same, but that went to the peer's known address.)
func (k *children) answered(p *phase1, a netip.Addr) {
	for _, kid := range k.pairs {
		if kid.phase != p || kid.confirmed || kid.Initiator {
			continue
		}
		kid.heard.went(a)
	}
}

// went records the address of a copy.
func (s *shownAt) went(a netip.Addr) {
	s.moved = s.moved || s.addr.IsValid() && s.addr != a
	s.addr = a
}

// agreed handles message 3 of a pair. If the peer sent message 3, it has the pair. If we
// sent it, it may be lost or the client may be slow, and then everything sent on the new
// pair would be lost, too. So sending stays on the old pair, as long as the client has
// that, until the client uses the new pair or must have it by now. A server that does not
// know yet whose a new phase 1 is waits for the client in turn.
func (c *Conn) agreed(now time.Time, inSPI uint32) {
	if p := c.kids.of(inSPI); p != nil && c.doubts(p) {
		c.prompt(now, p)
		return
	}
	if !c.settleBy(now, inSPI) {
		c.confirm(now, inSPI)
	}
}

// settled ends the wait for the peer to use a pair: it must have it by now, or it is silent.
func (c *Conn) settled(now time.Time, p *pair) {
	if c.doubts(p) {
		c.prompt(now, p)
		return
	}
	c.confirm(now, p.InSPI)
}

// settleBy starts or restarts the wait for the peer to use a pair of which we sent
// message 3. It reports whether there is another pair to send on meanwhile.
func (c *Conn) settleBy(now time.Time, inSPI uint32) bool {
	for _, p := range c.kids.pairs {
		if p.InSPI != inSPI || p.confirmed || !p.Initiator || c.kids.sending == nil || c.kids.sending == p ||
			c.caller != nil && c.kids.sending.phase != p.phase {
			continue
		}
		p.settles = machine.Earliest(now.Add(settleTime), c.kids.sending.ends)
		return true
	}
	return false
}

// confirm records that the peer has the pair with this inbound SPI. Sending moves to that
// pair, unless a newer pair already sends.
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
		c.bear(now, p)
		if c.caller != nil {
			c.caller.ChildUp(now)
		}
		return
	}
}

// showed uses the fact that the peer uses a pair: the peer is at the address where
// message 2 went. It reports whether the pair's phase 1 belongs to this connection's
// peer.
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
	c.own(now, p.phase, p.phase.Peer())
	c.resume(now)
	c.stay(now) // the peer may have deleted its old pair before
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
