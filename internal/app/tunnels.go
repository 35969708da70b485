package app

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/link"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/vpn"
)

// tunnel turns a configured tunnel into a link without L2TP.
func (a *instance) tunnel(t *conf.Tunnel) links.Link {
	made := links.Link{
		Of: *t, Name: t.Name, Device: t.Name, Bare: bareTunnel(t), ByAddress: !t.Address.IsValid() && !t.Address6.IsValid(), Routes: t.Routes, Metric: t.Metric, SourceCheck: t.SourceCheck, WhenDown: links.Blackhole,
		Rules: link.Config{
			Dial: map[conf.LinkDial]link.Dial{conf.DialAlways: link.Always, conf.DialNever: link.Never}[t.Dial],
			Ours: tunnelStays(t), Random: rand.Float64,
		},
		Policy: func(host string) *vpn.Policy { return a.tunnelPolicy(t, host) },
	}
	if t.Remote != (conf.Host{}) {
		made.Remotes = []string{t.Remote.String()}
	}
	if t.Dial == conf.DialAlways {
		made.Remote = func(ctx context.Context) ([]links.Target, error) { return a.targets(ctx, []conf.Host{t.Remote}) }
	}
	return made
}

// tunnelStays reports whether ours is the connection that stays where both ends have begun
// one: that of the end with the smaller address inside.
func tunnelStays(t *conf.Tunnel) bool {
	if t.Address.IsValid() {
		return t.Address.Less(t.PeerAddress)
	}
	return t.Address6.Less(t.PeerAddress6)
}

// tunnelPolicy is what we offer where we begin a tunnel.
func (a *instance) tunnelPolicy(t *conf.Tunnel, host string) *vpn.Policy {
	return a.dialPolicy(tunnelGroup(t), t.PSK, t.Certificate, t.PeerID, host)
}

// tunnelGroup is what the pre-shared key of a tunnel is bound to: no user has it.
func tunnelGroup(t *conf.Tunnel) string { return "tunnel " + t.Name }

func tunnelPSKs(c *conf.Config) (list []ike.PSK) {
	for i := range c.Tunnels {
		if t := &c.Tunnels[i]; t.PSK.Len() > 0 {
			list = append(list, ike.PSK{Name: tunnelGroup(t), Key: t.PSK, Group: tunnelGroup(t)})
		}
	}
	return list
}

// bareTunnels are the tunnels that other ends may begin.
func bareTunnels(c *conf.Config) (list []*vpn.Bare) {
	for i := range c.Tunnels {
		list = append(list, bareTunnel(&c.Tunnels[i]))
	}
	return list
}

func bareTunnel(t *conf.Tunnel) *vpn.Bare {
	b := &vpn.Bare{
		Name: t.Name, Device: t.Name, MTU: t.MTU, DeadPeer: t.DeadPeer,
		Encap: dataplane.Encap{Protocol: t.Mode.Protocol(), Keyed: t.Key.On, Key: t.Key.Value, Checksum: t.Checksum, Sequence: t.Sequence},
		Local: t.Address, Peer: t.PeerAddress, Local6: t.Address6, Peer6: t.PeerAddress6,
		Admits: func(p ike.Peer, at netip.Addr) bool { return admits(t, p, at) },
	}
	if t.SourceCheck {
		b.Networks = append(b.Networks, t.Routes...)
		for _, a := range []netip.Addr{t.PeerAddress, t.PeerAddress6} {
			if a.IsValid() {
				b.Networks = append(b.Networks, netip.PrefixFrom(a, a.BitLen()))
			}
		}
		if t.PeerAddress6.IsValid() {
			b.Networks = append(b.Networks, linkLocal) // neighbours that are routers
		}
	}
	return b
}

// linkLocal is RFC 4291's, section 2.5.6.
var linkLocal = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 10)

// admits reports whether a peer that has proved this, and is there, may be the other end of
// a tunnel.
func admits(t *conf.Tunnel, p ike.Peer, at netip.Addr) bool {
	if remote := t.Remote.Addr.Unmap(); remote.IsValid() && remote != at.Unmap() {
		return false
	}
	switch {
	case t.Certificate:
		return p.PSK == "" && p.Cert != "" && p.Cert == cmp.Or(t.PeerID, t.Remote.String())
	case t.PSK.Len() > 0:
		return p.PSK == tunnelGroup(t)
	}
	return p.PSK != "" && p.Group == "" // one of everybody's, from the tunnel's remote
}

// tunnelWire is a tunnel's device before its first connection.
func tunnelWire(b *vpn.Bare) hostnet.Wire {
	return hostnet.Wire{Local: b.Local, Peer: b.Peer, Local6: b.Local6, Peer6: b.Peer6, MTU: b.MTU}
}

// inClear is what must not come in, or leave, without ESP.
func inClear(c *conf.Config) (list []hostnet.Clear) {
	for i := range c.Tunnels {
		if t := &c.Tunnels[i]; t.Clear == conf.ClearDrop {
			list = append(list, hostnet.Clear{Protocol: t.Mode.Protocol(), Peer: t.Remote.Addr.Unmap()})
		}
	}
	return list
}
