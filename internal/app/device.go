package app

import (
	"net"
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/pool"
)

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
	return p
}

// openDevice opens the TUN or TAP device, a queue a worker. A TUN device is
// opened by tun, where that is not nil.
func openDevice(c *conf.Config, tun func(string, int, int) (netdev.Device, error), queues int) (netdev.Device, error) {
	if c.Network.Mode == "tap" {
		lan, err := netip.ParsePrefix(c.Network.LAN)
		if err != nil {
			return nil, err
		}
		t := netdev.TAPConfig{Name: c.Network.Device, Queues: queues, Bridge: c.Network.Bridge, LAN: lan, Multicast: c.Network.Multicast}
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

// ownAddresses are this host's global unicast addresses.
func ownAddresses() []netip.Addr {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok || !n.IP.IsGlobalUnicast() {
			continue
		}
		if own, ok := netip.AddrFromSlice(n.IP); ok {
			list = append(list, own.Unmap())
		}
	}
	return list
}

// Outward is the address of this host that others reach it by; the zero Addr if
// it has none.
func Outward(c *conf.Config) (netip.Addr, error) { return hostnet.Outward(c.Network.Device) }
