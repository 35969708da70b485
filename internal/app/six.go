package app

import (
	"net/netip"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/session"
)

// server6 is what the server is to clients with IPv6, nil if they have none.
func server6(plan *pool.Plan) *session.IPv6 {
	for _, n := range plan.Networks {
		if n.Server.Is6() {
			return &session.IPv6{Server: n.Server}
		}
	}
	return nil
}

// texts6 are a session's IPv6 addresses and prefixes, for people.
func texts6(six auth.IPv6) []string {
	var list []string
	if six.Address.IsValid() {
		list = append(list, six.Address.String())
	}
	for _, p := range []netip.Prefix{six.Prefix, six.Delegated} {
		if p.IsValid() {
			list = append(list, p.String())
		}
	}
	return list
}
