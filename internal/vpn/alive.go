package vpn

import "time"

// alive is what a connection knows about whether its peer is alive.
type alive struct {
	heard  time.Time // when the machines last learnt of a packet from the peer
	sent   time.Time // when we last sent something, for the NAT keepalive
	answer time.Time // when the peer last sent a dead peer detection message
	asked  time.Time // when we last sent an unanswered probe; zero: none is pending
	doubt  *doubt    // whether the client is still there; nil: nobody asks
}

// listen tells the machines about traffic that the data path saw: received data is as
// good as an answer to a Hello or an Echo-Request.
func (c *Conn) listen(now time.Time) {
	if c.slot == nil {
		return
	}
	last := c.slot.LastIn()
	if last.Equal(c.heard) {
		return
	}
	c.heard, c.asked = last, time.Time{}
	if last.After(now) {
		last = now // the clock was set back
	}
	if c.tunnel != nil {
		c.tunnel.HandleData(last)
	}
	for _, s := range c.calls {
		s.HandleData(last)
	}
}

// probeAt is when dead peer detection asks the peer whether it is there (RFC 3706,
// section 5). It asks only a peer that offered it, and only after a silence that Hello
// and Echo-Request did not end. Zero: never.
func (c *Conn) probeAt() time.Time {
	if c.deadPeer() == 0 || c.slot == nil || c.heard.IsZero() && c.bare == nil || !c.asked.IsZero() || !c.peer.DPD {
		return time.Time{}
	}
	last := c.heard
	if c.answer.After(last) {
		last = c.answer
	}
	return last.Add(c.deadPeer() / 2)
}

// probe asks on the newest ISAKMP SA, when the time has come.
func (c *Conn) probe(now time.Time) {
	if !due(c.probeAt(), now) {
		return
	}
	c.asked = now
	if p := c.newest(); p != nil {
		p.Probe(now, c.patience())
	}
}

// unanswered ends a connection whose peer answered no probe and sent nothing else
// meanwhile. A peer that only forgot the ISAKMP SA keeps its connection, and a peer that
// has another ISAKMP SA is asked on that one.
func (c *Conn) unanswered(now time.Time) {
	c.listen(now)
	switch next := c.newest(); {
	case c.asked.IsZero():
	case next != nil && !next.unheard:
		c.asked = time.Time{}
	default:
		c.shut(now, EndLost)
	}
}

// keepaliveAt is when a NAT keepalive is due (RFC 3948, section 4). We send them only if
// we are behind a NAT, since the peer keeps its own NAT's mapping open.
func (c *Conn) keepaliveAt() time.Time {
	if c.policy.Keepalive == 0 || !c.peer.LocalNAT || c.slot == nil {
		return time.Time{}
	}
	return c.sent.Add(c.policy.Keepalive)
}

func (c *Conn) keepalive(now time.Time) {
	if due(c.keepaliveAt(), now) {
		c.sent = now
		_ = c.slot.SendKeepalive() // if it cannot be sent it is lost, like any datagram
	}
}
