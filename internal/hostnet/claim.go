package hostnet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Claim routes a client's network to the server's device, and hides it behind
// the host's address if the plan hides clients. It is for what the plan does not
// have: an address or a network of one session. Claims of the same network add up.
func (h *Host) Claim(n netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claims[n]++
	if h.claims[n] > 1 {
		return nil
	}
	link, err := netlink.LinkByName(h.plan.Device)
	if err != nil {
		return fmt.Errorf("device %s: %w", h.plan.Device, err)
	}
	if err := routeTo(link, n); err != nil {
		return err
	}
	if !h.hides(n) {
		return nil
	}
	return changeMasqueraded(h.undo.Table, n, true)
}

// Release takes one claim back.
func (h *Host) Release(n netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claims[n] == 0 {
		return nil
	}
	if h.claims[n]--; h.claims[n] > 0 {
		return nil
	}
	delete(h.claims, n)
	var errs []error
	if h.hides(n) {
		errs = append(errs, changeMasqueraded(h.undo.Table, n, false))
	}
	link, err := netlink.LinkByName(h.plan.Device)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	err = netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n.Masked()), Scope: netlink.SCOPE_LINK})
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

// routeTo routes a network to a device.
func routeTo(link netlink.Link, n netip.Prefix) error {
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n.Masked()), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("routing %v to %s: %w", n, link.Attrs().Name, hint(err))
	}
	return nil
}
