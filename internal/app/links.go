package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/link"
	"github.com/adit-vpn/adit/internal/links"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// newLinks makes the links of a configuration.
func (a *instance) newLinks(c *conf.Config) *links.Manager {
	return links.New(links.Config{Links: a.linksOf(c), Host: a.linkHost(), Report: (&linkLog{log: a.log}).report})
}

// linksOf are the links of a configuration.
func (a *instance) linksOf(c *conf.Config) (list []links.Link) {
	for i := range c.Links {
		list = append(list, a.link(&c.Links[i]))
	}
	for i := range c.Tunnels {
		list = append(list, a.tunnel(&c.Tunnels[i]))
	}
	return list
}

// link turns a configured link into one that can be made.
func (a *instance) link(l *conf.Link) links.Link {
	made := links.Link{
		Of: *l, Name: l.Name, Device: l.Device(), Rules: rules(l), Routes: linkRoutes(l), Metric: l.Metric, SourceCheck: l.SourceCheck,
		WhenDown: map[conf.WhenDown]links.WhenDown{conf.DownHold: links.Hold, conf.DownBlackhole: links.Blackhole, conf.DownWithdraw: links.Withdraw}[l.WhenDown],
		Remotes:  conf.Texts(l.Remote), PPP: func() *ppp.Config { return linkPPP(a.config.Load(), l) },
		Policy: func(host string) *vpn.Policy { return a.linkPolicy(l, host) },
	}
	if l.PeerUser != "" {
		made.Caller = auth.User{Name: l.PeerUser, Password: l.PeerPassword}
		made.Grant, made.Certified = linkGrant(l), l.Certificate
	}
	if len(l.Remote) > 0 {
		made.Remote = func(ctx context.Context) ([]links.Target, error) {
			list, err := a.targets(ctx, l.Remote)
			if loop := checkNameServers(l, hostnet.NameServers()); err != nil && loop != nil {
				err = fmt.Errorf("%w; %w", err, loop)
			}
			return list, err
		}
	}
	return made
}

// linkRoutes are the networks that lead to a link. One that is dialled on demand is also
// dialled by packets to the other end itself.
func linkRoutes(l *conf.Link) []netip.Prefix {
	if l.Dial != conf.DialDemand || !l.PeerAddress.IsValid() {
		return l.Routes
	}
	return append(l.Routes[:len(l.Routes):len(l.Routes)], netip.PrefixFrom(l.PeerAddress, l.PeerAddress.BitLen()))
}

// rules are when a link is up.
func rules(l *conf.Link) link.Config {
	return link.Config{
		Dial: map[conf.LinkDial]link.Dial{conf.DialAlways: link.Always, conf.DialDemand: link.Demand, conf.DialNever: link.Never}[l.Dial],
		Idle: l.IdleTimeout, Hours: l.Hours, Ours: l.User < l.PeerUser, Random: rand.Float64,
	}
}

// linkEchoes is how many LCP Echo-Requests in a row may get no answer.
const linkEchoes = 4

// linkPPP is how a link is dialled.
func linkPPP(c *conf.Config, l *conf.Link) *ppp.Config {
	return &ppp.Config{
		Client: true, Router: true, Name: l.User, PeerAuth: peerAuth(l), IPv6: l.IPv6, MRU: uint16(c.Network.MTU), Methods: methods(c),
		User: l.User, Password: l.Password,
		Unnumbered: !l.Address.FromPeer && !l.Address.Addr.IsValid(), Address: l.Address.Addr, PeerAddress: l.PeerAddress,
		Echo: l.DeadPeer / (linkEchoes + 1), EchoFailures: linkEchoes,
		SetupTimeout: 90 * time.Second, AuthTimeout: 60 * time.Second,
	}
}

// peerAuth is whether the end that is dialled has to authenticate itself.
func peerAuth(l *conf.Link) ppp.PeerAuth {
	switch {
	case l.PeerUser == "" || l.PeerAuth == conf.PeerAuthNo:
		return ppp.PeerAuthNone
	case l.PeerAuth == conf.PeerAuthRequired:
		return ppp.PeerAuthRequired
	}
	return ppp.PeerAuthAsked
}

// shows reports whether there is a link whose caller may demand that we authenticate
// ourselves.
func shows(c *conf.Config) bool {
	return slices.ContainsFunc(c.Links, func(l conf.Link) bool { return l.User != "" && l.PeerUser != "" })
}

// linkGrant is what the caller of a link gets.
func linkGrant(l *conf.Link) auth.Grant {
	g := auth.Grant{
		User: l.PeerUser, Address: l.PeerAddress, Interface: l.Device(),
		Link: &auth.Link{Local: l.Address.Addr, IPv6: l.IPv6, Echo: l.DeadPeer / (linkEchoes + 1), User: l.User, Password: l.Password},
	}
	if l.PSK.Len() > 0 {
		g.Group = linkGroup(l)
	}
	if l.SourceCheck {
		g.Routes = l.Routes
	}
	return g
}

// linkGroup is what the pre-shared key of a link is bound to: no user but the link's has
// it.
func linkGroup(l *conf.Link) string { return "link " + l.Name }

// linkPolicy is what a call offers that is placed for a link.
func (a *instance) linkPolicy(l *conf.Link, host string) *vpn.Policy {
	return a.dialPolicy(linkGroup(l), l.PSK, l.Certificate, l.PeerID, host)
}

// dialPolicy is what a call offers that proves itself by a pre-shared key, by the
// certificate, or else by the server's first pre-shared key.
func (a *instance) dialPolicy(name string, key secret.Bytes, certificate bool, peerID, host string) *vpn.Policy {
	c, p := a.config.Load(), *a.server.Policy()
	own := *p.IKE
	own.Aggressive = false
	switch {
	case certificate:
		own.PSKs = nil
		if own.Authority != nil {
			own.Authority = &ofOneName{own.Authority, peerID, host}
		}
	case key.Len() > 0:
		own.Identity, own.Authority = nil, nil
		own.PSKs = []ike.PSK{{Name: name, Key: key, Group: name}}
	default:
		own.Identity, own.Authority = nil, nil
		own.PSKs = nil
		if len(c.IPsec.PSK) > 0 {
			own.PSKs = []ike.PSK{{Name: "psk[0]", Key: c.IPsec.PSK[0]}}
		}
	}
	p.IKE = &own
	return &p
}

// targets are where a link is dialled: every address of every remote, from ours that leads
// there.
func (a *instance) targets(ctx context.Context, remotes []conf.Host) ([]links.Target, error) {
	var list []links.Target
	var failed error
	for _, host := range remotes {
		addresses, err := resolve(ctx, host)
		if err != nil {
			failed = fmt.Errorf("the remote %v does not resolve: %w", host, err)
			continue
		}
		for _, to := range addresses {
			to = to.Unmap()
			from, err := a.outward(to)
			if err != nil {
				failed = fmt.Errorf("this host has no way to the remote %v, %v: %w", host, to, err)
				continue
			}
			list = append(list, links.Target{Host: host.String(), Path: ike.Path{Local: netip.AddrPortFrom(from, ikePort), Remote: netip.AddrPortFrom(to, ikePort)}})
		}
	}
	if len(list) == 0 {
		return nil, failed
	}
	return list, nil
}

// from is the address of this host from which packets go to another: one on which the
// server listens.
func (a *instance) from(to netip.Addr) (netip.Addr, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, ikePort))) // sends nothing
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, errors.New("no address of this host leads there")
	}
	own := local.AddrPort().Addr().Unmap().WithZone("")
	var first netip.Addr
	for _, on := range a.config.Load().Server.Listen {
		switch {
		case on == own || on.IsUnspecified() && on.Is4() == own.Is4():
			return own, nil
		case !first.IsValid() && on.Is4() == own.Is4():
			first = on
		}
	}
	if !first.IsValid() {
		return netip.Addr{}, errors.New("server.listen has no address of its family")
	}
	return first, nil
}

// ofOneName is an authority that accepts the certificate of one name alone.
type ofOneName struct {
	ike.Authority
	want, host string // the first, or else the second
}

// Verify implements ike.Authority.
func (n *ofOneName) Verify(now time.Time, chain [][]byte) (ike.PeerCert, error) {
	cert, err := n.Authority.Verify(now, chain)
	if err != nil {
		return cert, err
	}
	want := n.want
	if want == "" {
		want = n.host
	}
	if !names(&cert, want) {
		return cert, fmt.Errorf("it is of %.96s, and not of %.96s, which was dialled: set peer_id of the link if that is the other end's name", cert.Name, want)
	}
	return cert, nil
}

// names reports whether a certificate is of a name or an address.
func names(cert *ike.PeerCert, want string) bool {
	if cert.Name == want || cert.Name == strconv.Quote(want) {
		return true
	}
	for _, name := range append(cert.DNS, cert.Emails...) {
		if name == want {
			return true
		}
	}
	for _, a := range cert.IPs {
		if a.String() == want {
			return true
		}
	}
	return false
}
