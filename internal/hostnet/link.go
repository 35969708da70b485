package hostnet

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// blackholeMetric is greater than that of any other route: a blackhole takes what no other
// route to the same network takes.
const blackholeMetric = math.MaxInt32

// Ours says that a device which is about to come is the server's. What it forwards passes, as of any
// device that comes since, and nobody else has done that.
func (h *Host) Ours(device string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ours[device] = true
}

// LeadLink routes networks to a link's device.
func (h *Host) LeadLink(device string, networks []netip.Prefix, metric int) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	for _, n := range networks {
		if err := diverts(link, n); err != nil {
			return err
		}
		if err := netlink.RouteReplace(linkRoute(link, n, metric)); err != nil {
			return fmt.Errorf("routing %v to %s: %w", n, device, hint(err))
		}
	}
	return nil
}

// UnleadLink takes those routes away.
func (h *Host) UnleadLink(device string, networks []netip.Prefix, metric int) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	var errs []error
	for _, n := range networks {
		if err := netlink.RouteDel(linkRoute(link, n, metric)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("taking the route to %v from %s: %w", n, device, hint(err)))
		}
	}
	return errors.Join(errs...)
}

// Diverts refuses a network if a route to it by a device would divert what the host itself
// needs.
func Diverts(device string, n netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	return diverts(link, n)
}

func linkRoute(link netlink.Link, n netip.Prefix, metric int) *netlink.Route {
	return &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n.Masked()), Scope: netlink.SCOPE_LINK, Priority: metric}
}

// diverts refuses a network whose route would divert what the host itself needs: the
// network of another device, or one that has a gateway in it.
func diverts(link netlink.Link, n netip.Prefix) error {
	same, gateway, err := inTheWay(link, n)
	switch {
	case err != nil:
		return err
	case slices.ContainsFunc(same, func(r *netlink.Route) bool { return r.Protocol == unix.RTPROT_KERNEL }):
		return fmt.Errorf("%v is the network of another device of this host: name networks behind the other end alone", n)
	case gateway.IsValid():
		return fmt.Errorf("%v has the gateway %v of this host: name networks without it", n, gateway)
	}
	return nil
}

// Blackhole drops what goes to these networks and no other route takes, until Unblackhole
// has been called as often, or the host is changed back.
func (h *Host) Blackhole(networks []netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, n := range networks {
		if err := h.dig(n.Masked()); err != nil {
			return errors.Join(err, h.fill(networks[:i]))
		}
	}
	return nil
}

// dig adds one blackhole, unless there is one.
func (h *Host) dig(n netip.Prefix) error {
	if h.holes[n]++; h.holes[n] > 1 {
		return nil
	}
	h.undo.Blackholes = append(h.undo.Blackholes, n)
	err := h.undo.save(h.file)
	if err == nil {
		err = netlink.RouteAdd(blackhole(n))
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return errors.Join(fmt.Errorf("a blackhole for %v: %w", n, hint(err)), h.fill([]netip.Prefix{n}))
	}
	return nil
}

// Unblackhole takes blackholes back.
func (h *Host) Unblackhole(networks []netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fill(networks)
}

// fill removes those blackholes that nobody needs any more.
func (h *Host) fill(networks []netip.Prefix) error {
	var errs []error
	for _, n := range networks {
		n = n.Masked()
		if h.holes[n]--; h.holes[n] > 0 {
			continue
		}
		delete(h.holes, n)
		i := slices.Index(h.undo.Blackholes, n)
		if i < 0 {
			continue // the host was changed back already
		}
		if err := netlink.RouteDel(blackhole(n)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("removing the blackhole for %v: %w", n, hint(err)))
			continue
		}
		h.undo.Blackholes = slices.Delete(h.undo.Blackholes, i, i+1)
	}
	return errors.Join(append(errs, h.undo.save(h.file))...)
}

func blackhole(n netip.Prefix) *netlink.Route {
	return &netlink.Route{Type: unix.RTN_BLACKHOLE, Dst: ipNet(n), Priority: blackholeMetric}
}

// fill removes the blackholes.
func (r *record) fill() error {
	var errs []error
	for _, n := range r.Blackholes {
		if err := netlink.RouteDel(blackhole(n)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("removing the blackhole for %v: %w", n, err))
		}
	}
	return errors.Join(errs...)
}
