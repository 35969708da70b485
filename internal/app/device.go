package app

import (
	"net"
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/netdev"
)

// plan is what the host's network needs.
func plan(c *conf.Config, device string) hostnet.Plan {
	p := hostnet.Plan{Device: device}
	if c.Network.Mode == conf.TAP {
		return p // the office network routes, not this host
	}
	for _, n := range c.Plan().Networks {
		if n.OfLinks() {
			p.Addresses = append(p.Addresses, netip.PrefixFrom(n.Server, n.Prefix.Bits()))
		} else {
			p.Routes = append(p.Routes, n.Prefix)
		}
	}
	p.Forward6 = c.Network.HasIPv6()
	p.Masquerade, p.Masquerade6 = c.Network.Masquerade, c.Network.Masquerade6
	p.Policy = access(c)
	return p
}

// openDevice opens the TUN or TAP device, a queue a worker. A TUN device is
// opened by tun, where that is not nil.
func openDevice(c *conf.Config, tun func(string, int, int) (netdev.Device, error), queues int) (netdev.Device, error) {
	if c.Network.Mode == conf.TAP {
		return netdev.OpenTAP(netdev.TAPConfig{
			Name: c.Network.Device, Queues: queues, Bridge: c.Network.Bridge,
			LAN: c.Network.LAN, Gateway: c.Network.Gateway, Multicast: c.Network.Multicast,
		})
	}
	if tun == nil {
		tun = netdev.Open
	}
	return tun(c.Network.Device, c.Network.MTU, queues)
}

// ownAddresses are this host's global unicast addresses.
func ownAddresses() []netip.Addr {
	all, _ := hostAddresses("") // none are known then
	var list []netip.Addr
	for _, a := range all {
		if a.Addr().IsGlobalUnicast() {
			list = append(list, a.Addr())
		}
	}
	return list
}

// hostAddress is an address of this host, with the length of its network.
type hostAddress struct {
	netip.Prefix
	device string
	up     bool // the device is
}

// hostAddresses are the addresses of this host's devices but one, "" for none.
func hostAddresses(but string) (list []hostAddress, err error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for i := range devices {
		d := &devices[i]
		if d.Name == but {
			continue
		}
		addresses, err := d.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addresses {
			if p := prefixOf(a); p.IsValid() {
				list = append(list, hostAddress{p, d.Name, d.Flags&net.FlagUp != 0})
			}
		}
	}
	return list, nil
}

// prefixOf is an address of an interface with the length of its network; the zero Prefix
// if a is not an IP address.
func prefixOf(a net.Addr) netip.Prefix {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}
	}
	own, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(own.Unmap(), bits)
}

// Outward is the address of this host that others reach it by; the zero Addr if
// it has none.
func Outward(c *conf.Config) (netip.Addr, error) { return hostnet.Outward(c.Network.Device) }
