package hostnet

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// neighbourTries are what somebody without any key tries from the server's
// segment: to reach clients, networks behind them, and the office, as
// themselves and as somebody else.
func (w *town) neighbourTries(want map[string]bool) {
	w.t.Helper()
	for family := range 2 {
		for _, v := range []struct{ name, src, place, dst string }{
			{"client", neighbourAt[family], "client", clientAt[family]},
			{"client from afar", strangerAt[family], "client", clientAt[family]},
			{"site", neighbourAt[family], "client", siteAt[family]},
			{"office", neighbourAt[family], "office", officeAt[family]},
			{"client as a client", clientAt[family], "client", clientAt[family]},
			{"client as the office", officeAt[family], "client", clientAt[family]},
			{"office as a client", clientAt[family], "office", officeAt[family]},
			{"office as a site", siteAt[family], "office", officeAt[family]},
			{"office as the server", insideAt[family], "office", officeAt[family]},
			{"the server as a client", clientAt[family], "", serverAt[family]},
			{"the server as a site", siteAt[family], "", serverAt[family]},
			{"the server as itself", insideAt[family], "", serverAt[family]},
			{"the server", neighbourAt[family], "", serverAt[family]},
		} {
			if got := w.neighbourReaches(v.src, v.place, v.dst); got != (want[v.name] || v.name == "the server") {
				w.t.Errorf("%s, from %s to %s: reached %v", v.name, v.src, v.dst, got)
			}
		}
	}
}

// clientTries are what clients may do always: reach the networks behind, and
// have answers.
func (w *town) clientTries() {
	w.t.Helper()
	for family := range 2 {
		for place, dst := range map[string]string{"office": officeAt[family], "segment": neighbourAt[family]} {
			if arrives, answered := w.clientReaches(place, dst, 80); !arrives || !answered {
				w.t.Errorf("a client to %s: arrives %v, answered %v", dst, arrives, answered)
			}
		}
	}
}

func TestANeighbourDoesNotWalkIn(t *testing.T) {
	for name, masquerade := range map[string][2]bool{"hidden": {true, true}, "as by default": {true, false}} {
		t.Run(name, func(t *testing.T) {
			p := townPlan()
			p.Masquerade, p.Masquerade6 = masquerade[0], masquerade[1]
			inTown(t, p, "", func(w *town) {
				w.neighbourTries(nil)
				w.clientTries()
			})
		})
	}
}

// The guard leaves alone what the host forwarded before, but guards clients.
func TestWhatTheHostForwardedBeforePasses(t *testing.T) {
	const on = "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
	for name, v := range map[string]struct {
		before string
		want   map[string]bool
	}{
		"all":                {on, map[string]bool{"office": true}},
		"one device":         {"sysctl -qw net.ipv4.conf.segment.forwarding=1 net.ipv6.conf.segment.forwarding=1", map[string]bool{"office": true}},
		"the device for out": {"sysctl -qw net.ipv4.conf.office.forwarding=1 net.ipv6.conf.office.forwarding=1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := townPlan()
			inTownAsItIs(t, p, v.before, func(w *town) {
				w.neighbourTries(v.want)
				w.clientTries()
			})
		})
	}
}

// Networks that may open connections do so by the device that leads to them.
func TestInboundNetworks(t *testing.T) {
	for name, v := range map[string]struct {
		networks []string
		want     map[string]bool
	}{
		"the segment": {[]string{"192.0.2.0/24", "2001:db8:2::/64"}, map[string]bool{"client": true, "site": true}},
		"one host":    {[]string{"192.0.2.66/32", "2001:db8:2::66/128", "2001:db8:2::/64", "192.0.2.0/25"}, map[string]bool{"client": true, "site": true}},
		"the office":  {[]string{"192.168.60.0/24", "2001:db8:60::/64"}, nil},
		"others":      {[]string{"203.0.113.0/24", "2001:db8:3::/64"}, nil},
		"everybody": {[]string{"0.0.0.0/0", "::/0"}, map[string]bool{
			"client": true, "site": true, "client from afar": true, "client as the office": true,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := townPlan()
			for _, n := range v.networks {
				p.Policy.Inbound = append(p.Policy.Inbound, prefix(n))
			}
			inTown(t, p, "", func(w *town) {
				w.neighbourTries(v.want)
				w.clientTries()
			})
		})
	}
}

func TestServicesOfTheHost(t *testing.T) {
	dns := []netip.Addr{netip.MustParseAddr(insideAt[0]), netip.MustParseAddr(insideAt[1])}
	for name, v := range map[string]struct {
		policy Policy
		open   []uint16 // of 53, 80, 8000 and 8001
	}{
		"none":            {Policy{}, nil},
		"all":             {Policy{AllServices: true}, []uint16{53, 80, 8000, 8001}},
		"one":             {Policy{Services: []Service{{unix.IPPROTO_UDP, 80, 80}}}, []uint16{80}},
		"of TCP":          {Policy{Services: []Service{{unix.IPPROTO_TCP, 1, 65535}}}, nil},
		"a range":         {Policy{Services: []Service{{unix.IPPROTO_UDP, 8000, 8001}}}, []uint16{8000, 8001}},
		"name server":     {Policy{DNS: dns}, []uint16{53}},
		"somebody else's": {Policy{DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9")}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := townPlan()
			p.Policy = v.policy
			inTown(t, p, "", func(w *town) {
				for family := range 2 {
					for _, port := range []uint16{53, 80, 8000, 8001} {
						want := slices.Contains(v.open, port)
						if got := w.clientReachesHost(insideAt[family], port); got != want {
							t.Errorf("%s, port %d: reached %v, want %v", insideAt[family], port, got, want)
						}
					}
					if got := w.clientReachesHost(serverAt[family], 80); got != (slices.Contains(v.open, 80)) {
						t.Errorf("%s, by its other address: reached %v", serverAt[family], got)
					}
				}
			})
		})
	}
}

// What clients ask the host's services for is answered, and the host has answers
// of clients.
func TestTheHostAndClientsPing(t *testing.T) {
	inTown(t, townPlan(), "", func(w *town) {
		for family := range 2 {
			own := w.socket(insideAt[family], townPort)
			if err := unix.Sendto(own, []byte("question"), 0, sockaddr(clientAt[family], 5555)); err != nil {
				t.Error(err)
			}
			w.clientSends(clientAt[family], insideAt[family], townPort, []byte("answer"))
			w.wait(own, nil, []byte("answer"))
			_ = unix.Close(own)
		}
	})
}

func TestClientsAmongThemselves(t *testing.T) {
	for _, isolated := range []bool{false, true} {
		p := townPlan()
		p.Policy.Isolated = isolated
		inTown(t, p, "", func(w *town) {
			for family := range 2 {
				other := [2]string{"10.83.0.77", "fd00:83::77"}[family]
				probe, marker := w.text("probe"), w.text("marker")
				w.clientSends(clientAt[family], other, 80, probe)
				own := w.socket(insideAt[family], townPort)
				if err := unix.Sendto(own, marker, 0, sockaddr(clientAt[family], 9)); err != nil {
					t.Error(err)
				}
				if got := w.wait(-1, probe, marker); got == isolated {
					t.Errorf("isolated %v: %s reached %v", isolated, other, got)
				}
				_ = unix.Close(own)
			}
		})
	}
}

// A network that a session has may hold one of the host's own: its hosts are not
// clients.
func TestAClaimThatHoldsTheHostsNetwork(t *testing.T) {
	inTown(t, townPlan(), "", func(w *town) {
		for _, n := range []string{"192.0.0.0/16", "2001:db8::/32"} {
			if err := w.host.Claim(prefix(n), ""); err != nil {
				t.Error(err)
			}
		}
		w.neighbourTries(nil)
	})
}

// A firewall that is loaded anew removes the guard, as it is not its own. The guard is
// restored, and the administrator is told.
func TestTheGuardIsPutBack(t *testing.T) {
	for _, command := range []string{
		"nft flush ruleset", "nft delete table ip adit_adit0", "nft delete table ip6 adit_adit0",
		"nft flush table ip adit_adit0", "nft flush chain ip6 adit_adit0 forward", "nft flush set ip adit_adit0 clients",
		"nft flush chain ip adit_adit0 prerouting", "nft flush ruleset; nft add table ip adit_adit0",
		"nft insert rule ip adit_adit0 forward accept",
	} {
		t.Run(command, func(t *testing.T) {
			inTown(t, townPlan(), "", func(w *town) {
				if did, err := w.host.Mend(); err != nil || len(did) > 0 {
					t.Errorf("without a reason: %v, %v", did, err)
				}
				for len(w.host.Changed()) > 0 {
					<-w.host.Changed()
				}
				run(t, command)
				<-w.host.Changed()
				did, err := w.host.Mend()
				if err != nil || len(did) != 1 || !strings.Contains(did[0], "adit_adit0") {
					t.Errorf("%v, %v", did, err)
				}
				w.neighbourTries(nil)
				w.clientTries()
				if did, err := w.host.Mend(); err != nil || len(did) > 0 {
					t.Errorf("once more: %v, %v", did, err)
				}
			})
		})
	}
}

// A policy is exchanged in one step, with what sessions have meanwhile.
func TestAPolicyIsExchanged(t *testing.T) {
	inTown(t, townPlan(), "", func(w *town) {
		w.neighbourTries(nil)
		open := Policy{Inbound: []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8:2::/64")}, Services: []Service{{unix.IPPROTO_UDP, 80, 80}}}
		for range 2 {
			if err := w.host.SetPolicy(open); err != nil {
				t.Error(err)
			}
			w.neighbourTries(map[string]bool{"client": true, "site": true})
			if !w.clientReachesHost(insideAt[0], 80) {
				t.Error("the service that the new policy names is closed")
			}
			if err := w.host.SetPolicy(Policy{}); err != nil {
				t.Error(err)
			}
			w.neighbourTries(nil)
		}
	})
}

// Others that begin to forward while the server runs can do so: an engine with its
// bridge, a program that sets the sysctl, one that translates addresses. A new firewall
// or a new network card does not count.
func TestOthersForwardWhatComesSince(t *testing.T) {
	for name, v := range map[string]struct {
		does string
		want map[string]bool
		said string
	}{
		"nothing":      {"true", nil, ""},
		"a sysctl":     {"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", map[string]bool{"office": true}, "somebody else has set"},
		"masquerading": {"iptables -t nat -A POSTROUTING -j MASQUERADE; ip6tables -t nat -A POSTROUTING -j MASQUERADE", map[string]bool{"office": true}, "POSTROUTING"},
		"a firewall":   {"nft add table inet f; nft 'add chain inet f pass { type filter hook forward priority 0; }'", nil, ""},
		"a card":       {"ip link add eth9 type veth peer name eth10; ip link set eth9 up", nil, ""},
		"a bridge":     {"ip link add docker0 type bridge; ip link set docker0 up", nil, "docker0"},
	} {
		t.Run(name, func(t *testing.T) {
			inTownAsItIs(t, townPlan(), "", func(w *town) {
				run(t, v.does)
				did, err := w.host.Mend()
				if said := strings.Join(did, "\n"); err != nil || !strings.Contains(said, v.said) || (said == "") != (v.said == "") {
					t.Errorf("said %q, %v; want %q", said, err, v.said)
				}
				w.neighbourTries(v.want)
				w.clientTries()
			})
		})
	}
}

// What a device of the server's own forwards passes as well, and is no news of others.
func TestALinksDeviceIsNoNews(t *testing.T) {
	inTownAsItIs(t, townPlan(), "", func(w *town) {
		w.host.Ours("adit-branch")
		run(t, "ip link add adit-branch type bridge; ip link set adit-branch up")
		if did, err := w.host.Mend(); err != nil || len(did) > 0 {
			t.Errorf("said %q, %v", did, err)
		}
		run(t, "nft list table ip adit_adit0 | grep -q adit-branch")
	})
}
