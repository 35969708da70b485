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
	for _, u := range c.Users {
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

// openDevice opens the TUN or TAP device, a queue a worker.
func openDevice(c *conf.Config, queues int) (netdev.Device, error) {
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
	return netdev.Open(c.Network.Device, c.Network.MTU, queues)
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
