package app

import (
	"net"
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/pool"
)

// claimer is a device that answers for clients' addresses: a TAP.
type claimer interface {
	Claim(netip.Addr)
	Release(netip.Addr)
}

// plan is what the host's network needs.
func plan(c *conf.Config, device string) hostnet.Plan {
	p := hostnet.Plan{Device: device}
	if c.Network.Mode == "tap" {
		return p // the office network routes, not this host
	}
	for _, r := range parseRanges(c) {
		p.Addresses = append(p.Addresses, netip.PrefixFrom(pool.Prefix(r.Prefix).First, r.Prefix.Bits()))
		if c.Network.Masquerade {
			p.Masquerade = append(p.Masquerade, r.Prefix)
		}
	}
	for _, n := range prefixes6(c) {
		p.Addresses = append(p.Addresses, netip.PrefixFrom(ownAddress6(n), n.Bits()))
		p.Forward6 = true
		if c.Network.Masquerade6 {
			p.Masquerade6 = append(p.Masquerade6, n)
		}
	}
	if n, err := netip.ParsePrefix(c.Network.Delegate6); err == nil {
		p.Routes = append(p.Routes, n)
		if c.Network.Masquerade6 {
			p.Masquerade6 = append(p.Masquerade6, n)
		}
	}
	for _, u := range c.Users {
		for _, own := range own6(u) {
			if !inPools6(c, own) {
				p.Routes = append(p.Routes, own)
			}
		}
		if a, err := netip.ParseAddr(u.Address); err == nil && !inPools(c, a) {
			p.Routes = append(p.Routes, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return p
}

func inPools(c *conf.Config, a netip.Addr) bool {
	for _, r := range parseRanges(c) {
		if r.Prefix.IsValid() && r.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// own6 are the prefixes that a user has of their own.
func own6(u conf.User) (list []netip.Prefix) {
	six := userIPv6(u)
	if six.Address.IsValid() {
		list = append(list, netip.PrefixFrom(six.Address, 128))
	}
	for _, p := range []netip.Prefix{six.Prefix, six.Delegated} {
		if p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}

func inPools6(c *conf.Config, p netip.Prefix) bool {
	for _, n := range networks6(c) {
		if n.Prefix.Bits() <= p.Bits() && n.Prefix.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// openDevice opens the TUN or TAP device, a queue a worker. A TUN device is
// opened by tun, where that is not nil.
func openDevice(c *conf.Config, tun func(string, int, int) (netdev.Device, error), queues int) (netdev.Device, error) {
	if c.Network.Mode == "tap" {
		lan, err := netip.ParsePrefix(c.Network.LAN)
		if err != nil {
			return nil, err
		}
		t := netdev.TAPConfig{Name: c.Network.Device, MTU: c.Network.MTU, Queues: queues, Bridge: c.Network.Bridge, LAN: lan, Multicast: c.Network.Multicast}
		if t.Gateway, err = netip.ParseAddr(c.Network.Gateway); err != nil {
			t.Gateway = netip.Addr{}
		}
		return netdev.OpenTAP(t)
	}
	if tun == nil {
		tun = netdev.Open
	}
	return tun(c.Network.Device, c.Network.MTU, queues)
}

// hostAddresses are this host's global unicast addresses.
func hostAddresses() []string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []string
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			list = append(list, n.IP.String())
		}
	}
	return list
}
