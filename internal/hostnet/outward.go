package hostnet

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Outward is the one address of this host that others reach it by, as far as
// the host can know: the source address of packets that follow the default route of IPv4,
// or else of IPv6. Without a default route it is the first address of a network card, or
// of a bridge that has one: addresses of containers, of virtual machines and of the
// server's own device are not reached from outside. The zero Addr: there is none.
func Outward(device string) (netip.Addr, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("listing devices: %w", err)
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if a := ofDefaultRoute(family, links, device); a.IsValid() {
			return a, nil
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, l := range links {
			if l.Attrs().Name == device || !leadsOutside(l, links) {
				continue
			}
			if a := firstAddress(l, family); a.IsValid() {
				return a, nil
			}
		}
	}
	return netip.Addr{}, nil
}

// ofDefaultRoute is the source address of packets that follow the best default route.
func ofDefaultRoute(family int, links []netlink.Link, device string) netip.Addr {
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return netip.Addr{} // no such family here
	}
	var best netip.Addr
	priority := -1
	for _, r := range routes {
		if !isDefault(&r) || priority >= 0 && r.Priority >= priority {
			continue
		}
		for _, l := range links {
			if l.Attrs().Index != outOf(&r) || l.Attrs().Name == device {
				continue
			}
			a, _ := netip.AddrFromSlice(r.Src)
			if !a.IsValid() {
				a = firstAddress(l, family)
			}
			if a = a.Unmap(); a.IsValid() {
				best, priority = a, r.Priority
			}
		}
	}
	return best
}

func isDefault(r *netlink.Route) bool {
	if r.Type != unix.RTN_UNICAST {
		return false
	}
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

// outOf is the index of the device that a route leaves by, of several paths the
// first one's.
func outOf(r *netlink.Route) int {
	if len(r.MultiPath) > 0 {
		return r.MultiPath[0].LinkIndex
	}
	return r.LinkIndex
}

// firstAddress is the first global unicast address of a device that is up.
func firstAddress(l netlink.Link, family int) netip.Addr {
	if l.Attrs().Flags&net.FlagUp == 0 {
		return netip.Addr{}
	}
	list, err := netlink.AddrList(l, family)
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.Unmap().IsGlobalUnicast() && a.Flags&unix.IFA_F_TEMPORARY == 0 {
			return ip.Unmap()
		}
	}
	return netip.Addr{}
}

// leadsOutside reports whether a device is a network card, which has no kind, or
// made of one: a VLAN, a bond, a bridge with one among its ports.
func leadsOutside(l netlink.Link, links []netlink.Link) bool {
	if l.Attrs().Flags&net.FlagLoopback != 0 {
		return false
	}
	switch l.Type() {
	case "device", "vlan", "bond", "team", "macvlan", "ipvlan":
		return true
	case "bridge":
		for _, port := range links {
			if port.Attrs().MasterIndex == l.Attrs().Index && port.Type() != "bridge" && leadsOutside(port, links) {
				return true
			}
		}
	}
	return false
}

// CheckBridge says why a TAP device could not join a bridge.
func CheckBridge(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%w: make it, with the office's network card as its port (ip link add %s type bridge), or correct network.bridge", err, name)
	}
	if l.Type() != "bridge" {
		return fmt.Errorf("%s is a %s, not a bridge: name the bridge that has it as its port", name, l.Type())
	}
	return nil
}
