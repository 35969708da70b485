package hostnet

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Wire is what the host's end of a point-to-point device has. Addresses that are not valid
// are left out.
type Wire struct {
	Local, Peer   netip.Addr // of IPv4: both, or neither
	Local6, Peer6 netip.Addr // link-local, or beside the link-local address that the kernel gives
	MTU           int        // bytes
}

// SetWire gives a device what w says, instead of what it has had: an address that is no
// longer wanted is taken from it. All of it goes when the device does.
func SetWire(device string, w Wire) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	if w.MTU > 0 && link.Attrs().MTU != w.MTU {
		if err := netlink.LinkSetMTU(link, w.MTU); err != nil {
			return fmt.Errorf("device %s: MTU %d: %w", device, w.MTU, hint(err))
		}
	}
	var want []*netlink.Addr
	if w.Local.IsValid() {
		want = append(want, pointToPoint(w.Local, w.Peer, 0))
	}
	if w.Local6.IsValid() {
		if err := enable6(device); err != nil {
			return err
		}
		want = append(want, pointToPoint(w.Local6, w.Peer6, unix.IFA_F_NODAD))
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("listing addresses of %s: %w", device, err)
	}
	for i := range have {
		if !contains(want, &have[i]) && !w.keeps(&have[i]) {
			if err := netlink.AddrDel(link, &have[i]); err != nil {
				return fmt.Errorf("taking the address %v from %s: %w", have[i].IPNet, device, hint(err))
			}
		}
	}
	for _, a := range want {
		if err := netlink.AddrReplace(link, a); err != nil {
			return fmt.Errorf("giving %s the address %v: %w", device, a.IPNet, hint(err))
		}
	}
	return nil
}

// keeps reports whether an address stays that nobody has asked for: routing protocols need
// a link-local one.
func (w *Wire) keeps(a *netlink.Addr) bool {
	return w.Local6.IsValid() && !w.Local6.IsLinkLocalUnicast() && a.IP.IsLinkLocalUnicast() && a.IP.To4() == nil
}

// pointToPoint is an address with a peer's, which has a route by it.
func pointToPoint(local, peer netip.Addr, flags int) *netlink.Addr {
	return &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(local, local.BitLen())), Peer: ipNet(netip.PrefixFrom(peer, peer.BitLen())), Flags: flags}
}

// contains reports whether an address of a device is one of a list.
func contains(list []*netlink.Addr, a *netlink.Addr) bool {
	for _, b := range list {
		if a.IP.Equal(b.IP) && a.Peer != nil && a.Peer.IP.Equal(b.Peer.IP) {
			return true
		}
	}
	return false
}
