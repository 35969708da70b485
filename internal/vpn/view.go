package vpn

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/ipsec"
)

// publish gives the data path a new view, if something in it has changed.
func (c *Conn) publish() {
	if !c.changed {
		return
	}
	c.changed = false
	if c.slot != nil {
		c.slot.Publish(c.view())
	}
	c.show(c.status())
}

// view is what the data path knows about this connection.
func (c *Conn) view() *dataplane.View {
	v := &dataplane.View{
		Local:      c.path.Local,
		Remote:     c.path.Remote,
		LocalPort:  l2tpPort,
		Tunnel:     c.tunnelID(),
		PeerTunnel: c.peerTunnel,
	}
	if !c.peer.Encap {
		// Raw ESP, protocol 50, has no ports.
		v.Local = netip.AddrPortFrom(v.Local.Addr(), 0)
		v.Remote = netip.AddrPortFrom(v.Remote.Addr(), 0)
	}
	v.In = make([]*ipsec.Inbound, 0, len(c.kids.pairs))
	for i := len(c.kids.pairs) - 1; i >= 0; i-- {
		v.In = append(v.In, c.kids.pairs[i].in)
		v.Ports = append(v.Ports, c.kids.pairs[i].PeerPort)
	}
	for _, p := range c.kids.pairs {
		if c.doubts(p) {
			v.Doubted = append(v.Doubted, p.InSPI)
		}
	}
	if p := c.kids.sending; p != nil {
		v.Out, v.Muted = p.out, c.doubts(p)
		v.LocalPort, v.PeerPort = p.LocalPort, p.PeerPort
	}
	for _, s := range c.calls {
		v.Sessions = append(v.Sessions, s.data)
	}
	if c.bare != nil {
		v.Sessions = append(v.Sessions, c.bare.data)
	}
	if c.claim != nil {
		v.Tunnel, v.PeerTunnel = c.claim.held.tunnel, c.claim.held.peerTunnel
		v.Sessions = append(v.Sessions, c.claim.call.data)
	}
	return v
}

// l2tpPort is L2TP's UDP port (RFC 2661, section 8.1).
const l2tpPort = 1701

func (c *Conn) tunnelID() uint16 {
	if c.tunnel == nil {
		return 0
	}
	return c.tunnel.ID()
}
