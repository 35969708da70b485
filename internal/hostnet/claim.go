package hostnet

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// claims are the networks of sessions that lead to the server's device, or to one of their
// own.
type claims map[netip.Prefix]claim

type claim struct {
	devices []string // of those who claim it, the newest last
	device  string   // where the route leads
	err     error    // why there is no route, or no note of it in our table
}

// Claim routes a client's network to a device, "" for the server's, and has it guarded, and
// hidden behind the host's address, as the plan's are. It is for what the plan does not
// have: an address or a network of one session. Claims of the same network add
// up, and those of networks that overlap hold beside each other. What the host
// needs for itself is refused.
func (h *Host) Claim(n netip.Prefix, device string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = n.Masked()
	device = cmp.Or(device, h.plan.Device)
	c, known := h.claims[n]
	c.devices = append(c.devices, device)
	var err error
	switch {
	case !known || c.err != nil:
		c.device, c.err = device, h.lead(n, device)
		err = c.err
	case c.device != device: // the newest session has another device
		if err = move(n, c.device, device); err == nil {
			c.device = device
		}
	}
	h.claims[n] = c
	return err
}

// move has a network that leads to one device lead to another. If it cannot, all stays as
// it was.
func move(n netip.Prefix, from, to string) error {
	link, err := netlink.LinkByName(to)
	if err != nil {
		return fmt.Errorf("device %s: %w", to, err)
	}
	old, gone := netlink.LinkByName(from)
	if gone == nil {
		// Two routes to one network may stand beside each other, by their devices.
		_ = netlink.RouteDel(&netlink.Route{LinkIndex: old.Attrs().Index, Dst: ipNet(n), Scope: netlink.SCOPE_LINK})
	}
	if err = takes(link, n); err == nil {
		err = routeTo(link, n)
	}
	if err != nil && gone == nil {
		return errors.Join(err, routeTo(old, n))
	}
	return err
}

// lead has a network lead to a device.
func (h *Host) lead(n netip.Prefix, device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	if err := takes(link, n); err != nil {
		return err
	}
	if err := routeTo(link, n); err != nil {
		return err
	}
	within, inner := h.known(n)
	if !h.notes(n) || within {
		return nil
	}
	return changeClients(h.undo.Table, inner, []netip.Prefix{n})
}

// Release takes back a claim with a device. The network then leads to the device of the
// newest claim that is left.
func (h *Host) Release(n netip.Prefix, device string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = n.Masked()
	c := h.claims[n]
	i := lastIndex(c.devices, cmp.Or(device, h.plan.Device))
	if i < 0 {
		return nil // there was nothing
	}
	if c.devices = slices.Delete(c.devices, i, i+1); len(c.devices) > 0 {
		err := c.leadBack(n)
		h.claims[n] = c
		return err
	}
	delete(h.claims, n)
	if c.err != nil {
		return nil // there was no route
	}
	var errs []error
	if within, inner := h.known(n); h.notes(n) && !within {
		errs = append(errs, changeClients(h.undo.Table, []netip.Prefix{n}, inner))
	}
	link, err := netlink.LinkByName(c.device)
	if errors.As(err, &netlink.LinkNotFoundError{}) && c.device != h.plan.Device {
		return errors.Join(errs...) // the device has gone, and its routes with it
	}
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	err = netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n), Scope: netlink.SCOPE_LINK})
	if !errors.Is(err, unix.ESRCH) { // somebody else has removed it
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// leadBack has the network lead to the device of the newest claim that can have it. Of
// devices that are gone, as those of sessions that have ended are, the claims end, too.
func (c *claim) leadBack(n netip.Prefix) error {
	if c.err != nil {
		return nil // it leads nowhere
	}
	for _, device := range slices.Backward(c.devices) {
		if device == c.device {
			return nil
		}
		err := move(n, c.device, device)
		if err == nil {
			c.device = device
		}
		if !errors.As(err, &netlink.LinkNotFoundError{}) {
			return err
		}
	}
	return nil
}

// lastIndex is the place of the last element of a list that is x, -1 if there is none.
func lastIndex(list []string, x string) int {
	for i, y := range slices.Backward(list) {
		if x == y {
			return i
		}
	}
	return -1
}

// notes reports whether our table of a network's family keeps what clients have.
func (h *Host) notes(n netip.Prefix) bool { return len(h.tables.families[familyOf(n)].rules) > 0 }

// known reports whether a network is within another that clients have. If it is not,
// known returns those of the clients' networks that are within it, the outermost alone:
// the kernel's set holds no two that overlap.
func (h *Host) known(n netip.Prefix) (within bool, inner []netip.Prefix) {
	for _, other := range h.clients(familyOf(n)) {
		switch {
		case covers(other, n) && other != n:
			return true, nil
		case covers(n, other) && other != n:
			inner = append(inner, other)
		}
	}
	return false, outermost(inner)
}

// clients are the networks of a family that clients have: the plan's and the
// sessions'.
func (h *Host) clients(family int) (list []netip.Prefix) {
	for _, n := range slices.Concat(h.plan.Addresses, h.plan.Routes) {
		if familyOf(n) == family {
			list = append(list, n.Masked())
		}
	}
	for n, c := range h.claims {
		if c.err == nil && familyOf(n) == family {
			list = append(list, n)
		}
	}
	return list
}

// outermost returns the networks that are within no other, each once.
func outermost(networks []netip.Prefix) (list []netip.Prefix) {
	slices.SortFunc(networks, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
	})
	for _, n := range networks {
		if len(list) == 0 || !covers(list[len(list)-1], n) {
			list = append(list, n)
		}
	}
	return list
}

// covers reports whether all of n is in other.
func covers(other, n netip.Prefix) bool {
	return other.Bits() <= n.Bits() && other.Contains(n.Addr())
}

// takes refuses a network if a route to it would divert what the host reaches by another
// device: that device's own network, one that is routed there, or a gateway.
func takes(link netlink.Link, n netip.Prefix) error {
	same, gateway, err := inTheWay(link, n)
	switch {
	case err != nil:
		return err
	case len(same) > 0:
		return fmt.Errorf("this host reaches %v another way: another network, or none, can be a client's", n)
	case gateway.IsValid():
		return fmt.Errorf("%v has the gateway %v of this host: another network, or none, can be a client's", n, gateway)
	}
	return nil
}

// inTheWay is what a route to a network by a device would divert: the routes of other devices
// to the same network, and a gateway that is in it and that no longer one of theirs leads to.
func inTheWay(link netlink.Link, n netip.Prefix) (same []*netlink.Route, gateway netip.Addr, err error) {
	family := unix.AF_INET
	if n.Addr().Is6() {
		family = unix.AF_INET6
	}
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, gateway, fmt.Errorf("listing routes: %w", err)
	}
	for i := range routes {
		r := &routes[i]
		if outOf(r) != link.Attrs().Index && destination(r) == n.Masked() {
			same = append(same, r)
		}
		for _, g := range gateways(r, link.Attrs().Index) {
			if n.Contains(g) && n.Bits() > onLink(routes, link, g) {
				gateway = g
			}
		}
	}
	return same, gateway, nil
}

// destination is where a route leads.
func destination(r *netlink.Route) netip.Prefix {
	if r.Dst == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(r.Dst.IP)
	bits, size := r.Dst.Mask.Size()
	if size == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, bits)
}

// gateways are those that a route leads by, on other devices than one. Each of a route's ways
// has a device of its own.
func gateways(r *netlink.Route, except int) (list []netip.Addr) {
	var ips []net.IP
	if r.LinkIndex != except {
		ips = append(ips, r.Gw)
	}
	for _, p := range r.MultiPath {
		if p.LinkIndex != except {
			ips = append(ips, p.Gw)
		}
	}
	for _, ip := range ips {
		if g, ok := netip.AddrFromSlice(ip); ok {
			list = append(list, g.Unmap())
		}
	}
	return list
}

// onLink is the length of the longest prefix that another device reaches an
// address by without a gateway, -1 if there is none.
func onLink(routes []netlink.Route, link netlink.Link, a netip.Addr) int {
	longest := -1
	for i := range routes {
		if to := destination(&routes[i]); routes[i].Gw == nil && outOf(&routes[i]) != link.Attrs().Index && to.IsValid() && to.Contains(a) {
			longest = max(longest, to.Bits())
		}
	}
	return longest
}

// routeTo routes a network to a device.
func routeTo(link netlink.Link, n netip.Prefix) error {
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n.Masked()), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("routing %v to %s: %w", n, link.Attrs().Name, hint(err))
	}
	return nil
}
