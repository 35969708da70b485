package persona

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Dial connects. The error is a *Refusal if the server broke a rule, a *GaveUp if a
// request got no answer, an *Ended if the server ended the connection.
func (c *Client) Dial() error {
	return c.do(func() {
		var p *phase1
		if c.IKE.GroupName != "" {
			p = c.aggressiveMode()
		} else {
			p = c.mainMode(false)
		}
		c.quickMode(p)
		c.call()
		c.dialPPP()
		if c.After != nil {
			c.After(c)
		}
	})
}

// Close disconnects as the client does when its user asks for it.
func (c *Client) Close() error {
	return c.do(func() {
		c.leaving = true
		c.Leave(c)
		c.over("the user disconnected")
	})
}

// Rekey renews the ESP keys.
func (c *Client) Rekey() error { return c.do(c.renew) }

// renew renews the ESP keys. Predecessors stay for a while, or go first.
func (c *Client) renew() {
	if !c.exclusive(c.renew) {
		return
	}
	defer func() { c.renewing = false }()
	c.quickMode(c.current())
	if c.ESP.DeleteFirst {
		c.children = c.children[:1]
		return
	}
	for _, old := range c.children[1:] {
		if old.ending {
			continue
		}
		old.ending = true
		c.after(c.ESP.KeepOld, func() {
			c.remove(c.current(), old)
			c.drop(func(k *child) bool { return k == old })
		})
	}
}

// Rephase renews phase 1.
func (c *Client) Rephase() error { return c.do(c.rephase) }

func (c *Client) rephase() {
	if !c.exclusive(c.rephase) {
		return
	}
	defer func() { c.renewing = false }()
	old := c.current()
	c.mainMode(true)
	c.removePhase1(old)
}

// Reassert does what Apple's clients do when their host gets another address: they
// negotiate IPsec again from there, for the tunnel that they have, and send HELLO on it.
// They forget what they negotiated before.
func (c *Client) Reassert() error {
	return c.do(func() {
		c.own = c.host.Addr()
		p := c.mainMode(false)
		c.phases = c.phases[:1]
		c.quickMode(p)
		c.children = c.children[:1]
		c.order(0, "HELLO", wire.Hello)
		if !c.wait(30*time.Second, func() bool { return len(c.tun.sending) == 0 }) {
			c.over("HELLO was not acknowledged")
		}
	})
}

// exclusive reports whether a renewal may begin. While another renewal runs, this one is
// postponed: phase 1 is not replaced in the middle of a Quick Mode.
func (c *Client) exclusive(renew func()) bool {
	if c.end != nil || c.leaving {
		return false
	}
	if c.renewing {
		c.after(time.Second, renew)
		return false
	}
	c.renewing = true
	return true
}

// aged renews keys when their lifetime is nearly over.
func (c *Client) aged(life time.Duration, renew func()) {
	if life == 0 {
		return
	}
	c.after(life*85/100, renew)
}

// spent renews the ESP keys when their limit of kilobytes is nearly reached.
func (c *Client) spent() {
	k := c.children[0]
	if limit := c.ESP.Kilobytes * 1000 * 85 / 100; limit > 0 && k.out.Used+k.in.Used > limit && !k.spent {
		k.spent = true
		c.after(0, c.renew)
	}
}

// current is the phase 1 that a new exchange uses.
func (c *Client) current() *phase1 {
	for _, p := range c.phases {
		if p.last != nil && !p.gone {
			return p
		}
	}
	return c.mainMode(true)
}

// Send sends an IP packet into the tunnel, even while the client negotiates.
func (c *Client) Send(b []byte) { c.outbox <- b }

// Poll returns the next IP packet from the tunnel, nil if there is none.
func (c *Client) Poll() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 {
		return nil
	}
	b := c.in[0]
	c.in = c.in[1:]
	return b
}

// Address returns the address that IPCP assigned, and the DNS servers.
func (c *Client) Address() (a netip.Addr, dns []netip.Addr) {
	_ = c.do(func() {
		if c.link != nil {
			a, dns = c.link.addr, append(dns, c.link.dns...)
		}
	})
	return a, dns
}

// Stats returns what the client has seen so far.
func (c *Client) Stats() (s Stats) {
	_ = c.do(func() { s = c.stats })
	return s
}

// Err returns why there is no connection, nil if there is one.
func (c *Client) Err() (err error) {
	_ = c.do(func() { err = c.end })
	return err
}

// Bytes returns how much ESP payload the current keys have protected.
func (c *Client) Bytes() (n int) {
	_ = c.do(func() { n = c.children[0].out.Used + c.children[0].in.Used })
	return n
}

// SetAddress tells the client which address its host has now.
func (c *Client) SetAddress() { _ = c.do(func() { c.own = c.host.Addr() }) }

// hangUp terminates LCP as RFC 1661 section 3.7 requires, with retries.
func (c *Client) hangUp(data []byte, retry ...time.Duration) {
	id := c.nextID(wire.LCP)
	c.lcpHeard = nil
	acked := func() bool {
		for _, x := range c.lcpHeard {
			if x == wire.TermAck {
				return true
			}
		}
		return false
	}
	for _, d := range retry {
		c.sendCP(wire.LCP, wire.CP{Code: wire.TermReq, ID: id, Body: data})
		if c.wait(d, acked) {
			return
		}
	}
	if c.Lossless && len(retry) > 0 {
		c.refuse("its LCP Terminate-Request was not acknowledged")
	}
}
