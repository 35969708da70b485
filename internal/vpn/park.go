package vpn

import (
	"errors"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
)

// A client renews phase 1 on port 500 from a public address that nobody has seen before:
// it has several uplinks, or its NAT has several addresses. All messages but the last
// come from there, and the last comes from its endpoint on port 4500. Somebody else who
// knows the pre-shared key and forges that last message looks the same.
//
// So such a phase 1 waits, without belonging to a connection, until Quick Mode begins.
// Then it goes to the connection at its endpoint, which answers it there and nowhere
// else: only a peer that receives the answer there has the nonce in it, and so the keys.
// Until the peer shows that it has the keys, nothing of the connection changes.

// parked is a phase 1 that may belong to another connection.
type parked struct {
	twin  *Conn
	proof ike.Authenticated
	heard netip.Addr // where message 4 was received
}

// ErrElsewhere says that a message did not come from the endpoint of the connection to
// which its phase 1 may belong.
var ErrElsewhere = errors.New("a phase 1 that has not shown itself at the connection's endpoint came from elsewhere")

// park makes a phase 1 wait. The connection remains a stranger, which may be evicted.
func (c *Conn) park(p *phase1, twin *Conn, proof ike.Authenticated, heard netip.Addr) {
	c.parked = &parked{twin, proof, heard}
	c.setup = time.Time{}
	c.logPhaseKey(p)
	c.observe(PhaseOneUp{c.who(), proof.Peer, false})
	c.srv.run.Go(func() {
		twin.do(func(time.Time) { twin.waiting = append(twin.waiting[max(0, len(twin.waiting)-maxPhases+1):], c) })
		select {
		case <-twin.done:
			c.do(func(now time.Time) { c.finish(now, EndPeer) })
		case <-c.done:
		}
	})
}

// unpark hands a parked phase 1 over when Quick Mode begins, and reports whether it did.
func (c *Conn) unpark(now time.Time, n dataplane.Note) bool {
	if c.parked == nil || len(c.phases) == 0 {
		return false
	}
	h, err := ike.Peek(n.Data)
	if err != nil || h.Exchange != ike.ExchangeQuick || h.Cookies != c.phases[0].cookies {
		return false
	}
	k := c.parked
	if c.srv.at(n.Remote) != k.twin || k.twin.leaves.Load() {
		c.alone(now)
		return false
	}
	c.parked, c.path = nil, pathOf(n) // the other connection may have moved to that path meanwhile
	c.phases[0].unheard = true
	c.join(now, k.twin, n)
	return true
}

// fetch asks for the parked phases 1 that may belong to this connection, which has no
// phase 1 left and needs one to renew its keys. Quick Mode message 1 goes to the
// connection's endpoint, so a peer that answers it has received it there.
func (c *Conn) fetch() {
	list := c.waiting
	c.waiting = nil
	c.srv.run.Go(func() {
		for _, other := range list {
			other.do(other.yield)
		}
	})
}

// yield hands a parked phase 1 over to the connection that asks for it.
func (c *Conn) yield(now time.Time) {
	k := c.parked
	if k == nil || c.ended || len(c.phases) == 0 || k.twin.leaves.Load() {
		return
	}
	c.parked = nil
	c.phases[0].unheard, c.phases[0].fetched = true, true
	c.join(now, k.twin)
}

// answeredHere reports whether the peer of a phase 1, which has answered a message of
// ours, received that message at this connection's endpoint.
func (c *Conn) answeredHere(p *phase1) bool {
	return !p.asked.moved && p.asked.addr == c.path.Remote.Addr() && c.reached(p.asked.addr)
}

// alone makes a connection of a parked phase 1 whose peer has moved elsewhere.
func (c *Conn) alone(now time.Time) {
	k := c.parked
	if k == nil || c.ended || len(c.phases) == 0 {
		return
	}
	c.found(now, c.phases[0], k.proof, k.heard)
	c.parked = nil
}

// deleteParked passes on a Delete that came under a parked phase 1. A sender that knows
// the SPI is the peer.
func (c *Conn) deleteParked(outSPI uint32) {
	if k := c.parked; k != nil {
		c.srv.run.Go(func() { k.twin.do(func(now time.Time) { k.twin.deleteChild(now, outSPI) }) })
	}
}

func (p *phase1) unproven() bool { return p != nil && p.unheard }
