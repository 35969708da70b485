package ppp

import (
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// A peer that authenticates but cannot be served is told that it has passed, and then why
// the link ends. No client mistakes that for a wrong password. No network begins.
func TestWhoCannotBeServedIsToldAfterItHasPassed(t *testing.T) {
	for method, passed := range map[Method]string{
		MethodPAP: "< PAP Authenticate-Ack", MethodCHAP: "< CHAP Success", MethodMSCHAPv2: "< CHAP Success id=1 \"S=407A5589115FD0D6209F510FE9C04566932CDA56",
	} {
		d := newLadder(t, serverConfig(method))
		openLCP(d)
		switch method {
		case MethodPAP:
			d.recv("ff03 c023 01 01 0011 04 6d617279 07 68756e74657232")
		case MethodCHAP:
			d.respond(16, "mary")
		case MethodMSCHAPv2:
			d.respond(49, "mary")
		}
		out := d.since(func() { d.verdict(AuthAnswer{OK: true, Success: someProof, Close: ReasonNoAddress}) })
		machinetest.WantLine(t, out, passed)
		machinetest.WantLine(t, out, "< LCP Terminate-Request")
		machinetest.WantLine(t, out, "no address is left for another client")
		machinetest.WantNoLine(t, out, "IPCP")
		machinetest.WantLine(t, d.since(func() { d.recv("ff03 c021 06 02 0004") }), "* Down: no address is left for another client")
	}
}
