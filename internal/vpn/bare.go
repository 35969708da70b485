package vpn

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/ppp"
)

// Two routers may have ESP, in transport mode, carry GRE or IP in IP, without L2TP, PPP or
// a user: whoever has proved a tunnel's key is its other end (RFC 3884, section 2). Such a
// connection has one session, from its first pair of ESP SAs on.

// Bare is a tunnel without L2TP. It is immutable.
type Bare struct {
	Name   string // for people
	Encap  dataplane.Encap
	Device string // Config.Ports has it

	// The ends' addresses inside; those that are not valid are none.
	Local, Peer, Local6, Peer6 netip.Addr

	MTU      int            // 0: what the path leaves
	Networks []netip.Prefix // what may come from the other end; nil: anything
	DeadPeer time.Duration  // limit for a silent peer; 0: the policy's

	// Admits reports whether a peer that has proved this, and is there, may be the other
	// end of a tunnel that it has begun.
	Admits func(p ike.Peer, at netip.Addr) bool
}

// bare is a connection's tunnel without L2TP.
type bare struct {
	*Bare
	data  *dataplane.Session
	port  *dataplane.Port
	since time.Time
}

// ErrNotCarried says that a pair of ESP SAs is for another protocol than the connection's.
var ErrNotCarried = errors.New("a connection carries L2TP or one tunnel, and not several protocols: have the other end use a connection, and a key, for each")

// bareOf is the tunnel of a protocol that a peer may have under a phase 1 in which it has
// proved this; nil: it may have none.
func (c *Conn) bareOf(peer ike.Peer, protocol uint8) *Bare {
	var list []*Bare
	switch {
	case c.bare != nil:
		list = []*Bare{c.bare.Bare}
	case c.tunnel != nil:
	case c.calling != nil && c.calling.Bare != nil:
		list = []*Bare{c.calling.Bare}
	case c.caller == nil:
		for _, b := range c.policy.Bare {
			if b.Admits(peer, c.path.Remote.Addr()) {
				list = append(list, b)
			}
		}
	}
	for _, b := range list {
		if b.Encap.Protocol == protocol {
			return b
		}
	}
	return nil
}

// takes reports whether a new pair of this protocol may be one of the connection's.
func (c *Conn) takes(protocol uint8) bool {
	switch {
	case c.bare != nil:
		return protocol == c.bare.Encap.Protocol
	case c.tunnel != nil:
		return !isBare(protocol)
	}
	return true
}

// isBare reports whether a pair of ESP SAs carries something else than L2TP.
func isBare(protocol uint8) bool { return protocol != 0 && protocol != protocolUDP }

const protocolUDP = 17

// bear begins the tunnel of the first pair that carries one.
func (c *Conn) bear(now time.Time, p *pair) {
	if c.bare != nil || !isBare(p.Protocol) || !c.drain.IsZero() {
		return
	}
	own := c.bareOf(c.peer, p.Protocol)
	if own == nil {
		c.refused(LayerESP, ErrNotCarried)
		c.retire(now, p, ChildReplaced)
		return
	}
	c.bare = &bare{Bare: own, data: dataplane.NewTunnel(own.Encap), since: now}
	c.unmix(now, p.Protocol)
	if err := c.leadBare(espSuite(p.Suite)); err != nil {
		c.refused(LayerESP, fmt.Errorf("the tunnel %q: %w", own.Name, err))
		c.failed(now, err.Error())
		c.shut(now, EndReplaced)
		return
	}
	c.user, c.answer = own.Name, now
	c.welcome()
	if c.caller != nil {
		c.caller.NetworkUp(now, ppp.NetworkUp{}, c.bare.data)
	}
}

// unmix retires the pairs of other protocols, of which there may be some while there is no
// tunnel: what is sent must leave by none of them.
func (c *Conn) unmix(now time.Time, protocol uint8) {
	for i := 0; i < len(c.kids.pairs); {
		if p := c.kids.pairs[i]; p.Protocol != protocol {
			c.retire(now, p, ChildReplaced)
			continue
		}
		i++
	}
}

// leadBare has the tunnel's device lead to its session.
func (c *Conn) leadBare(suite ipsec.Suite) error {
	if c.srv.cfg.Ports == nil {
		return errNoPorts
	}
	b := c.bare
	mtu := b.MTU
	if room := c.slot.TunnelMTU(c.path.Remote.Addr(), suite, b.Encap); mtu == 0 || mtu > room {
		mtu = room
	}
	call := uint64(0)
	if c.calling != nil {
		call = c.calling.Call
	}
	to := session.Route{Networks: b.Networks, MTU: mtu, Wire: &session.Wire{
		User: b.Name, Device: b.Device, Call: call, Local: b.Local, Peer: b.Peer, Local6: b.Local6, Peer6: b.Peer6,
		HangUp: func() { c.do(func(now time.Time) { c.shut(now, EndReplaced) }) },
	}}
	if to.Networks == nil {
		to.Networks = everywhere
	}
	port, err := c.srv.cfg.Ports.Up(to, b.data)
	if err != nil {
		return err
	}
	b.port = port
	b.data.Attach(port)
	b.data.SetNetwork(to.Networks, mtu)
	c.changed = true
	c.publish() // what the device has held leaves at once
	port.Lead(c.slot, b.data)
	return nil
}

var everywhere = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

// unbear ends the tunnel: nothing passes any more. It is idempotent.
func (c *Conn) unbear(now time.Time) {
	b := c.bare
	if b == nil || b.port == nil {
		return
	}
	b.data.SetNetwork(nil, 0)
	b.port.Unlead(b.data)
	b.data.Attach(nil)
	c.srv.cfg.Ports.Down(b.port, b.data)
	b.port = nil
	c.changed = true
	if c.caller != nil {
		c.caller.NetworkDown(now)
	}
}

// info is the tunnel among the sessions that List shows.
func (b *bare) info() session.Info {
	return session.Info{User: b.Name, Address: b.Peer, Since: b.since}
}

// deadPeer is how long a silent peer is waited for.
func (c *Conn) deadPeer() time.Duration {
	if c.bare != nil && c.bare.DeadPeer > 0 {
		return c.bare.DeadPeer
	}
	return c.policy.DeadPeer
}

// patience is how long an answer to dead peer detection may take; 0: as long as with others.
func (c *Conn) patience() time.Duration {
	if c.bare == nil {
		return 0
	}
	return c.bare.DeadPeer / 2
}
