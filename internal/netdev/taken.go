package netdev

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Taken refuses a name by which this host has a device already that is no TUN device: the kernel
// says no more of it than that an argument is invalid.
func Taken(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil //nolint:nilerr // there is none, or opening it says what is wrong
	}
	if t, ok := l.(*netlink.Tuntap); ok && t.Mode == netlink.TUNTAP_MODE_TUN {
		return nil
	}
	return fmt.Errorf("this host already has a device named %q: choose another name", name)
}
