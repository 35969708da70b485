package vpn

import "time"

// probeAt is when dead peer detection asks the peer whether it is there (RFC
// 3706, section 5): only one that offered it, and only after a silence that
// Hello and Echo-Request did not end. Zero: never.
func (c *Conn) probeAt() time.Time {
	if c.policy.DeadPeer == 0 || c.slot == nil || c.heard.IsZero() || !c.asked.IsZero() || !c.peer.DPD {
		return time.Time{}
	}
	last := c.heard
	if c.alive.After(last) {
		last = c.alive
	}
	return last.Add(c.policy.DeadPeer / 2)
}

// probe asks when it is time, on the newest ISAKMP SA.
func (c *Conn) probe(now time.Time) {
	if !due(c.probeAt(), now) {
		return
	}
	c.asked = now
	if p := c.newest(); p != nil {
		p.Probe(now)
	}
}

// unanswered ends a connection whose peer answered no probe, and sent nothing
// else meanwhile. Who only forgot the ISAKMP SA lives on.
func (c *Conn) unanswered(now time.Time) {
	c.listen(now)
	if !c.asked.IsZero() {
		c.shut(now, EndLost)
	}
}
