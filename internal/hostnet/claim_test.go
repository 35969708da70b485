package hostnet

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A session's route never takes what the host reaches another way: its own
// networks, routes of an administrator's, gateways. And all of them are still there when
// the session is over.
func TestClaimLeavesTheHostsRoutes(t *testing.T) {
	const host = `ip addr add 192.0.2.1/24 dev eth9; ip link set eth9 up; ip -6 addr add 2001:db8:9::1/64 dev eth9 nodad
		ip route add default via 192.0.2.254 metric 100; ip route add 172.20.0.0/16 via 192.0.2.253 metric 50
		ip route add 198.18.0.0/15 nexthop via 192.0.2.252 nexthop via 192.0.2.251
		ip -6 route add default via 2001:db8:9::fe; ip -6 route add 2001:db8:20::/48 via 2001:db8:9::fd`
	for network, refused := range map[string]string{
		"192.0.2.0/24": "another way", "172.20.0.0/16": "another way", "198.18.0.0/15": "another way",
		"192.0.2.254/32": "gateway 192.0.2.254", "192.0.2.252/30": "gateway", "192.0.2.251/32": "gateway 192.0.2.251",
		"2001:db8:9::/64": "another way", "2001:db8:20::/48": "another way", "2001:db8:9::fe/128": "gateway", "2001:db8:9::80/121": "gateway",
		"192.0.2.77/32": "", "172.20.1.0/24": "", "172.16.0.0/12": "", "192.0.0.0/16": "", "2001:db8:9::77/128": "", "2001:db8:21::/48": "",
	} {
		inNamespace(t, func() {
			device(t, "eth9")
			device(t, "adit0")
			run(t, host)
			p := testPlan()
			p.Masquerade6 = true
			p.Addresses = append(p.Addresses, prefix("fd00:83::1/64"))
			h, err := Apply(filepath.Join(t.TempDir(), "undo.json"), p)
			if err != nil {
				t.Error(err)
				return
			}
			before := routes(t)
			for range 2 { // a second session hears the same
				if err := h.Claim(prefix(network), ""); (err != nil) != (refused != "") || err != nil && !strings.Contains(err.Error(), refused) {
					t.Errorf("%s: %v, want %q", network, err, refused)
				}
			}
			for range 2 {
				if err := h.Release(prefix(network), ""); err != nil {
					t.Errorf("%s: %v", network, err)
				}
			}
			if after := routes(t); after != before {
				t.Errorf("%s: the routes were\n%sand are\n%s", network, before, after)
			}
			if _, err := h.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Networks of sessions may be within each other, and come and go in any order.
func TestClaimsOverlap(t *testing.T) {
	networks := []netip.Prefix{
		prefix("203.0.113.4/32"), prefix("203.0.113.5/32"), prefix("203.0.113.0/24"), prefix("203.0.0.0/16"), prefix("203.0.113.128/25"),
		prefix("10.0.0.0/8"), prefix("10.83.7.0/24"), // around the pool, and of it
	}
	inNamespace(t, func() {
		device(t, "adit0")
		h, err := Apply(filepath.Join(t.TempDir(), "undo.json"), testPlan())
		if err != nil {
			t.Error(err)
			return
		}
		before := routes(t) + masqueraded(t)
		for first := range networks {
			in := func(i int) netip.Prefix { return networks[(first+i*3)%len(networks)] } // 3 and 7 have no divisor in common
			for i := range networks {
				if err := h.Claim(in(i), ""); err != nil {
					t.Error(err)
				}
				for _, n := range []string{"203.0.113.5", "10.83.0.9"} {
					if claimed := i == len(networks)-1 || n == "10.83.0.9"; claimed && !hidesAddress(t, n) {
						t.Errorf("%s is not masqueraded after %v", n, in(i))
					}
				}
			}
			for i := range networks {
				if err := h.Release(in(i), ""); err != nil {
					t.Error(err)
				}
				if !hidesAddress(t, "10.83.0.9") {
					t.Errorf("the pool is not masqueraded after %v is over", in(i))
				}
			}
			if after := routes(t) + masqueraded(t); after != before {
				t.Errorf("there was\n%s\nand is\n%s", before, after)
			}
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

func routes(t *testing.T) string {
	t.Helper()
	return output(t, "ip route; ip -6 route")
}

func masqueraded(t *testing.T) string {
	t.Helper()
	return output(t, "nft list set ip adit_adit0 clients")
}

func hidesAddress(t *testing.T, address string) bool {
	t.Helper()
	return exec.Command("nft", "get", "element", "ip", "adit_adit0", "clients", "{ "+address+" }").Run() == nil
}

func output(t *testing.T, command string) string {
	t.Helper()
	b, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", command, err, b)
	}
	return string(b)
}
