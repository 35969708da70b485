package persona

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Dial connects. The error is a *Refusal if the server broke a rule, a *GaveUp
// if something had no answer, an *Ended if the server ended it.
func (c *Client) Dial() error {
	return c.do(func() {
		p := c.mainMode(false)
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
func (c *Client) Rekey() error {
	return c.do(func() {
		c.quickMode(c.current())
		old := c.children[1:]
		if len(old) == 0 || c.ESP.DeleteFirst {
			c.children = c.children[:1]
			return
		}
		gone := old[0]
		c.after(c.ESP.KeepOld, func() {
			c.remove(c.current(), gone)
			c.drop(func(k *child) bool { return k == gone })
		})
	})
}

// Rephase renews phase 1.
func (c *Client) Rephase() error {
	return c.do(func() {
		old := c.current()
		c.mainMode(true)
		c.removePhase1(old)
	})
}

// current is the phase 1 that a new exchange goes over.
func (c *Client) current() *phase1 {
	for _, p := range c.phases {
		if p.last != nil && !p.gone {
			return p
		}
	}
	return c.mainMode(true)
}

// Send sends an IP packet into the tunnel.
func (c *Client) Send(b []byte) error {
	return c.do(func() { c.sendPPP(wire.IPv4, b) })
}

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

// Address is the address that IPCP gave, DNS the servers.
func (c *Client) Address() (a netip.Addr, dns []netip.Addr) {
	_ = c.do(func() {
		if c.link != nil {
			a, dns = c.link.addr, append(dns, c.link.dns...)
		}
	})
	return a, dns
}

// Stats are what the client saw so far.
func (c *Client) Stats() (s Stats) {
	_ = c.do(func() { s = c.stats })
	return s
}

// Err is why there is no connection, nil if there is one.
func (c *Client) Err() (err error) {
	_ = c.do(func() { err = c.end })
	return err
}

// Bytes is how much ESP payload the current keys protected.
func (c *Client) Bytes() (n int) {
	_ = c.do(func() { n = c.children[0].out.Used + c.children[0].in.Used })
	return n
}

// SetAddress tells the client which address its host has now.
func (c *Client) SetAddress() { _ = c.do(func() { c.own = c.host.Addr() }) }

// hangUp terminates LCP as RFC 1661 section 3.7 asks, with some tries.
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
