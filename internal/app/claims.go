package app

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/netdev"
)

// claimer makes networks lead to this server as long as a session has them. Its methods
// may be called from any goroutine.
type claimer interface {
	Claim(n netip.Prefix, device string) error // "": the common one
	Release(n netip.Prefix, device string) error
}

// claimsOf is how the networks of sessions are made known: to the neighbours of
// a TAP, or to the host's routes.
func claimsOf(device netdev.Device, host *hostnet.Host, p hostnet.Plan) claimer {
	if t, ok := device.(*netdev.TAP); ok {
		return neighbourhood{t}
	}
	return &hostRoutes{host: host, known: append(p.Addresses, p.Routes...)}
}

// neighbourhood is an office LAN, in which clients are neighbours.
type neighbourhood struct{ tap *netdev.TAP }

// Claim implements claimer. Networks behind clients are ignored: the LAN's gateway has to
// route them.
func (n neighbourhood) Claim(p netip.Prefix, _ string) error {
	if p.IsSingleIP() {
		n.tap.Claim(p.Addr())
	}
	return nil
}

// Release implements claimer.
func (n neighbourhood) Release(p netip.Prefix, _ string) error {
	if p.IsSingleIP() {
		n.tap.Release(p.Addr())
	}
	return nil
}

// hostRoutes are this host's: what is in no pool gets a route of its own.
type hostRoutes struct {
	host  *hostnet.Host
	known []netip.Prefix // what is routed here anyway
}

// Claim implements claimer.
func (r *hostRoutes) Claim(p netip.Prefix, device string) error {
	if device == "" && r.has(p) {
		return nil
	}
	return r.host.Claim(p, device)
}

// Release implements claimer.
func (r *hostRoutes) Release(p netip.Prefix, device string) error { return r.host.Release(p, device) }

func (r *hostRoutes) has(p netip.Prefix) bool {
	for _, n := range r.known {
		if n.Bits() <= p.Bits() && n.Masked().Contains(p.Addr()) {
			return true
		}
	}
	return false
}
