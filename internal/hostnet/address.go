package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addAddresses gives the device the server's addresses, brings it up, and
// routes further networks to it. All of it goes when the device does.
func addAddresses(device string, addresses, routes []netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	for _, a := range addresses {
		if err := Conflict(device, a); err != nil {
			return err
		}
		own := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			if err := enable6(device); err != nil {
				return err
			}
			own.Flags = unix.IFA_F_NODAD // nobody else is on the device
		}
		if err := netlink.AddrReplace(link, own); err != nil {
			return fmt.Errorf("giving %s the address %v: %w", device, a, hint(err))
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bringing %s up: %w", device, hint(err))
	}
	for _, r := range routes {
		if err := routeTo(link, r); err != nil {
			return err
		}
	}
	return nil
}

// Conflict refuses a pool that overlaps a network of another device: replies
// to its clients would leave there.
func Conflict(device string, own netip.Prefix) error {
	other, on, err := Overlap(device, own)
	if err != nil || !other.IsValid() {
		return err
	}
	key := "network.pool"
	if own.Addr().Is6() {
		key = "network.pool6"
	}
	return fmt.Errorf("the pool %v overlaps %v on %s: choose another %s", own.Masked(), other, on, key)
}

// Overlap returns the network of another device that a network overlaps, and
// that device; the zero Prefix if there is none.
func Overlap(device string, own netip.Prefix) (other netip.Prefix, on string, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return other, "", fmt.Errorf("listing devices: %w", err)
	}
	family := unix.AF_INET
	if own.Addr().Is6() {
		family = unix.AF_INET6
	}
	for _, l := range links {
		if l.Attrs().Name == device || l.Attrs().Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := netlink.AddrList(l, family)
		if err != nil {
			return other, "", fmt.Errorf("listing addresses of %s: %w", l.Attrs().Name, err)
		}
		for _, a := range addresses {
			ip, _ := netip.AddrFromSlice(a.IP)
			bits, _ := a.Mask.Size()
			if n := netip.PrefixFrom(ip.Unmap(), bits).Masked(); n.Bits() > 0 && n.Overlaps(own.Masked()) {
				return n, l.Attrs().Name, nil
			}
		}
	}
	return netip.Prefix{}, "", nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func hint(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: adit needs the capability NET_ADMIN", err)
	}
	return err
}
