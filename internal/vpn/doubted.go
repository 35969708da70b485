package vpn

import (
	"time"

	"github.com/adit-vpn/adit/ike"
)

// Somebody who knows the pre-shared key and is at a client's address, behind its NAT or
// in its place, can make a phase 1 of their own join the client's connection: it looks
// like a renewal. So a pair of ESP SAs under such a phase 1 receives only two things: the
// first data message with the ids of a session, which were agreed on inside ESP, or a new
// tunnel. No user's packet is sent on that pair before then. A client that renewed shows
// the ids with its next packet, and at once with its answer to an Echo-Request.

// maxWrong is how many packets with other ids may come under a phase 1: packets of a
// session that has just ended may still be on their way.
const maxWrong = 4

// suspects reports whether a phase 1 may belong to another peer than the one that has the
// tunnel. Before there is a tunnel nobody can lose anything: the peer that begins it has
// it.
func (c *Conn) suspects(p *phase1) bool { return p != nil && p.joined && c.tunnel != nil }

// doubts reports whether a pair may be another peer's.
func (c *Conn) doubts(p *pair) bool { return c.suspects(p.phase) }

// prompt makes the peer answer, so that it uses its pair. A peer that used an SPI again
// has lost the pair with that SPI, and could not read a question.
func (c *Conn) prompt(now time.Time, p *pair) {
	if !c.doubts(p) || c.kids.sending != nil && c.kids.sending != p && c.kids.sending.OutSPI == p.OutSPI {
		return
	}
	for _, s := range c.calls {
		s.Prove(now)
	}
}

// shown says that a packet of a doubted pair had the ids of a session. The ids of a
// session that has ended since prove nothing about the present ones.
func (c *Conn) shown(now time.Time, inSPI uint32, session uint16) {
	if c.call(session) != nil {
		c.believe(inSPI)
		c.used(now, inSPI)
	}
}

// believe says that a pair's phase 1 belongs to the peer that has the sessions.
func (c *Conn) believe(inSPI uint32) {
	if p := c.kids.of(inSPI); p != nil && p.phase != nil && p.phase.joined {
		p.phase.joined = false
		c.peer = p.phase.Peer()
		c.changed = true
	}
}

// begun says that a tunnel begins on a pair: the earlier sessions are over, and the
// connection belongs to that pair's peer from now on. Any other peer that has a phase 1
// here, even the first one, may have waited for a client at its address. What is sent to
// the new tunnel's peer uses none of their pairs.
func (c *Conn) begun(now time.Time, inSPI uint32) {
	p := c.kids.of(inSPI)
	if p == nil || p.phase == nil {
		return
	}
	if p.phase.joined {
		c.believe(inSPI)
		c.confirm(now, inSPI)
	}
	for _, other := range c.phases {
		other.joined = other.joined || other != p.phase
	}
	for _, k := range c.kids.pairs { // also those of phases 1 that have ended
		if k.phase != nil && k.phase != p.phase {
			k.phase.joined = true
		}
	}
	c.changed = true
	if k := c.kids.sending; k != nil && k.phase != p.phase && p.confirmed && !p.deleted {
		c.send(p)
	}
}

// guessed says that a packet of a doubted pair had other ids. A peer that sends several
// of these is guessing: its phase 1 ends, with its pairs.
func (c *Conn) guessed(now time.Time, inSPI uint32) {
	p := c.kids.of(inSPI)
	if p == nil || !c.doubts(p) {
		return
	}
	sa := p.phase
	if sa.wrong++; sa.wrong < maxWrong {
		return
	}
	c.observe(Guessed{c.who()})
	for i := 0; i < len(c.kids.pairs); {
		if p := c.kids.pairs[i]; p.phase == sa {
			c.retire(now, p, ChildReplaced)
			continue
		}
		i++
	}
	sa.Close(now, ike.ReasonLocal)
}
