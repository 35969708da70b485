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

// claims are the networks of sessions that lead to the server's device.
type claims map[netip.Prefix]claim

type claim struct {
	n   int
	err error // why there is no route, or no masquerading
}

// Claim routes a client's network to the server's device, and hides it behind
// the host's address if the plan hides clients. It is for what the plan does not
// have: an address or a network of one session. Claims of the same network add
// up, and those of networks that overlap hold beside each other. What the host
// needs for itself is refused.
func (h *Host) Claim(n netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = n.Masked()
	c, ok := h.claims[n]
	if !ok {
		c.err = h.lead(n)
	}
	c.n++
	h.claims[n] = c
	return c.err
}

// lead has a network lead to the device.
func (h *Host) lead(n netip.Prefix) error {
	link, err := netlink.LinkByName(h.plan.Device)
	if err != nil {
		return fmt.Errorf("device %s: %w", h.plan.Device, err)
	}
	if err := takes(link, n); err != nil {
		return err
	}
	if err := routeTo(link, n); err != nil {
		return err
	}
	within, outer := h.hidden(n)
	if !h.hides(n) || within {
		return nil
	}
	return changeMasqueraded(h.undo.Table, outer, []netip.Prefix{n})
}

// Release takes one claim back.
func (h *Host) Release(n netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = n.Masked()
	c := h.claims[n]
	if c.n--; c.n > 0 {
		h.claims[n] = c
		return nil
	}
	delete(h.claims, n)
	if c.n < 0 || c.err != nil {
		return nil // there was nothing
	}
	var errs []error
	if within, outer := h.hidden(n); h.hides(n) && !within {
		errs = append(errs, changeMasqueraded(h.undo.Table, []netip.Prefix{n}, outer))
	}
	link, err := netlink.LinkByName(h.plan.Device)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	err = netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n), Scope: netlink.SCOPE_LINK})
	if !errors.Is(err, unix.ESRCH) { // it is gone, as somebody wanted
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hides reports whether the plan masquerades clients of a network's family.
func (h *Host) hides(n netip.Prefix) bool {
	if n.Addr().Is4() {
		return len(h.plan.Masquerade) > 0
	}
	return len(h.plan.Masquerade6) > 0
}

// hidden reports whether a network is within another that is masqueraded, and
// else, which ones are within it, without those that are within each other: the
// kernel's set holds no two that overlap.
func (h *Host) hidden(n netip.Prefix) (within bool, inner []netip.Prefix) {
	var all []netip.Prefix
	all = append(append(all, h.plan.Masquerade...), h.plan.Masquerade6...)
	for other, c := range h.claims {
		if c.err == nil {
			all = append(all, other)
		}
	}
	for _, other := range all {
		switch other = other.Masked(); {
		case covers(other, n) && other != n:
			return true, nil
		case covers(n, other) && other != n:
			inner = append(inner, other)
		}
	}
	return false, outermost(inner)
}

// outermost are the networks that are in no other, each once.
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

// takes refuses a network whose route would take what the host reaches by
// another device: a network of that device's own or one that is routed there,
// which the route would replace, or a gateway.
func takes(link netlink.Link, n netip.Prefix) error {
	family := unix.AF_INET
	if n.Addr().Is6() {
		family = unix.AF_INET6
	}
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}
	for i := range routes {
		r := &routes[i]
		if outOf(r) == link.Attrs().Index {
			continue
		}
		if to := destination(r); to == n {
			return fmt.Errorf("this host reaches %v another way: another network, or none, can be a client's", n)
		}
		for _, g := range gateways(r) {
			if n.Contains(g) && n.Bits() > onLink(routes, link, g) {
				return fmt.Errorf("%v has the gateway %v of this host: another network, or none, can be a client's", n, g)
			}
		}
	}
	return nil
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

// gateways are those that a route leads by.
func gateways(r *netlink.Route) (list []netip.Addr) {
	ips := []net.IP{r.Gw}
	for _, p := range r.MultiPath {
		ips = append(ips, p.Gw)
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
