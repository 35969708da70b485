package hostnet

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// The routes of a link come and go, over a blackhole that stays, and nothing is left of
// either.
func TestALinksRoutesComeAndGo(t *testing.T) {
	inNamespace(t, func() {
		device(t, "adit0")
		device(t, "adit-a")
		device(t, "adit-b")
		run(t, "ip link set adit-a up; ip link set adit-b up")
		file := filepath.Join(t.TempDir(), "undo.json")
		before := routes(t)
		h, err := Apply(file, testPlan())
		if err != nil {
			t.Error(err)
			return
		}
		networks := []netip.Prefix{prefix("10.2.0.0/16"), prefix("2001:db8:2::/48")}
		if err := h.Blackhole(networks); err != nil {
			t.Error(err)
		}
		if err := h.Blackhole(networks[:1]); err != nil { // another link's, with another metric
			t.Error(err)
		}
		has := func(want bool, route string) {
			t.Helper()
			if got := strings.Contains(routes(t), route); got != want {
				t.Errorf("%q is there: %v; the routes are\n%s", route, got, routes(t))
			}
		}
		has(true, "blackhole 10.2.0.0/16")
		has(true, "blackhole 2001:db8:2::/48")
		for range 2 {
			if err := h.LeadLink("adit-a", networks, 7); err != nil {
				t.Error(err)
			}
			has(true, "10.2.0.0/16 dev adit-a scope link metric 7")
			has(true, "2001:db8:2::/48 dev adit-a metric 7")
			if err := h.LeadLink("adit-b", networks, 9); err != nil {
				t.Error(err)
			}
			has(true, "10.2.0.0/16 dev adit-b scope link metric 9")
			for range 2 {
				if err := h.UnleadLink("adit-a", networks, 7); err != nil {
					t.Error(err)
				}
			}
			has(false, "dev adit-a")
			has(true, "10.2.0.0/16 dev adit-b scope link metric 9")
			has(true, "blackhole 10.2.0.0/16")
		}
		if err := h.UnleadLink("adit-b", networks, 9); err != nil {
			t.Error(err)
		}
		if err := h.Unblackhole(networks); err != nil { // the other link's stays
			t.Error(err)
		}
		has(true, "blackhole 10.2.0.0/16")
		has(false, "blackhole 2001:db8:2::/48")
		if err := h.Unblackhole(networks[:1]); err != nil {
			t.Error(err)
		}
		has(false, "blackhole")
		if err := h.Blackhole(networks); err != nil {
			t.Error(err)
		}
		has(true, "blackhole 2001:db8:2::/48")
		if _, err := Replay(file); err != nil { // as after a crash
			t.Error(err)
		}
		has(false, "blackhole")
		run(t, "ip link del adit0; ip link del adit-a; ip link del adit-b")
		if after := routes(t); after != before {
			t.Errorf("the routes were\n%sand are\n%s", before, after)
		}
	})
}

// A link takes no network that the host itself is in, and none with a gateway of it.
func TestALinkLeavesTheHostItsNetworks(t *testing.T) {
	inNamespace(t, func() {
		device(t, "eth9")
		device(t, "adit0")
		device(t, "adit-a")
		run(t, `ip addr add 192.0.2.1/24 dev eth9; ip link set eth9 up; ip link set adit-a up
			ip route add default via 192.0.2.254; ip route add 172.20.0.0/16 via 192.0.2.253 metric 50`)
		h, err := Apply(filepath.Join(t.TempDir(), "undo.json"), testPlan())
		if err != nil {
			t.Error(err)
			return
		}
		for network, refused := range map[string]string{
			"192.0.2.0/24": "the network of another device", "192.0.2.252/30": "has the gateway 192.0.2.25",
			"172.20.0.0/16": "", "192.0.0.0/16": "", "192.0.2.64/26": "",
		} {
			err := h.LeadLink("adit-a", []netip.Prefix{prefix(network)}, 5)
			if (err != nil) != (refused != "") || err != nil && !strings.Contains(err.Error(), refused) {
				t.Errorf("%s: %v, want %q", network, err, refused)
			}
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A route with several ways has its other end's address on a link as one gateway, as routing
// protocols make it: that is the link's own, whichever way comes first.
func TestALinksOwnGatewayIsNotInItsWay(t *testing.T) {
	inNamespace(t, func() {
		device(t, "eth9")
		device(t, "adit-a")
		run(t, `ip addr add 192.0.2.1/24 dev eth9; ip link set eth9 up
			ip link set adit-a up; ip addr add 172.20.1.1 peer 172.20.1.2 dev adit-a
			ip route add 192.168.82.0/24 nexthop via 192.0.2.7 dev eth9 nexthop via 172.20.1.2 dev adit-a
			ip route add 192.168.83.0/24 nexthop via 172.20.1.2 dev adit-a nexthop via 192.0.2.7 dev eth9`)
		for network, refused := range map[string]bool{"172.20.1.2/32": false, "192.0.2.7/32": true, "192.168.82.0/24": false} {
			if err := Diverts("adit-a", prefix(network)); (err != nil) != refused {
				t.Errorf("%s: %v", network, err)
			}
		}
		if list := Gateways("adit-a"); len(list) != 1 || list[0] != netip.MustParseAddr("192.0.2.7") {
			t.Errorf("the gateways of other devices are %v", list)
		}
	})
}
