package hostnet

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Gateways are those that the host's routes lead by, on other devices than the named one.
func Gateways(device string) (list []netip.Addr) {
	own := -1
	if link, err := netlink.LinkByName(device); err == nil {
		own = link.Attrs().Index
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if err != nil {
			continue // no such family here
		}
		for i := range routes {
			for _, g := range gateways(&routes[i], own) {
				if g.IsGlobalUnicast() && !slices.Contains(list, g) {
					list = append(list, g)
				}
			}
		}
	}
	return list
}
