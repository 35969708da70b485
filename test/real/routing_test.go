//go:build real

package real

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Routing protocols over links and tunnels, between programs that we did not write: BIRD 2 at
// one end, FRRouting at the other.

// neighbours is what a router says to those at the other ends of its links: its network by
// OSPF, and one more, of which it is a host itself, by BGP.
func (r *router) neighbours(o over) lab.Routing {
	x := lab.Routing{OSPF3: o.six, AS: r.as(), Neighbours: map[string]int{}}
	x.Announced = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("172.31.%d.0/24", r.n))}
	for _, e := range r.ends {
		x.Neighbours[e.inside(1-e.side)] = 65000 + e.peer
	}
	return x
}

// settles waits until every router is Full with its neighbours, and speaks BGP with them.
func settles(t *testing.T, ring []*router, o over, within time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for _, r := range ring {
		n := len(r.ends)
		for what, ok := range map[string]func() bool{
			"OSPFv2 Full":     func() bool { return r.routing.Full(false) == n },
			"OSPFv3 Full":     func() bool { return !o.six || r.routing.Full(true) == n },
			"BGP established": func() bool { return r.routing.Established() == n },
		} {
			if !lab.Wait(within-time.Since(began), ok) {
				for _, other := range ring {
					t.Log(other.routes(t))
				}
				t.Fatalf("router %d: no %s with %d neighbours within %v", r.n, what, n, within)
			}
		}
	}
	return time.Since(began)
}

// meet waits until every host reaches every other, and what is announced by BGP, if anything is.
func meet(t *testing.T, ring []*router, o over, bgp bool, within time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for _, a := range ring {
		for _, b := range ring {
			if a == b {
				continue
			}
			var to []string
			if o.four {
				to = append(to, b.address)
			}
			if o.six {
				to = append(to, b.address6)
			}
			if bgp {
				to = append(to, b.other())
			}
			for _, addr := range to {
				if !lab.Wait(within-time.Since(began), func() bool { return a.pings(addr) }) {
					t.Fatalf("after %v the host of router %d does not reach %s\n%s\n%s", within, a.n, addr, a.routes(t), b.routes(t))
				}
			}
		}
	}
	return time.Since(began)
}

// routes is what a router knows of others.
func (r *router) routes(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("router %d:\n%s%s%s", r.n, r.routing.State(), lab.Run(t, r.ns, "ip", "route"), lab.Run(t, r.ns, "ip", "-6", "route"))
}

func startAll(t *testing.T, ring []*router, o over) {
	t.Helper()
	for _, r := range ring {
		r.start(t)
	}
	for _, r := range ring {
		if !lab.Wait(patience, r.up) {
			t.Fatalf("the links of router %d are not up", r.n)
		}
	}
}

// OSPFv2 and OSPFv3 are Full within 30 seconds, BGP is established, and what hosts send goes
// by the routes that they exchange; and again after one adit was restarted, which takes the
// device away and makes it anew.
func TestRoutingProtocolsRunOverLinksAndTunnels(t *testing.T) {
	for name, o := range map[string]over{"link": overLink, "GRE": overGRE, "IP in IP": overIPIP, "GRE in IPv6": overIP6} {
		t.Run(name, func(t *testing.T) {
			both := makeRing(t, 2, o)
			startAll(t, both, o)
			for _, r := range both {
				r.speak(t, r.neighbours(o))
			}
			took := settles(t, both, o, 30*time.Second)
			met := meet(t, both, o, true, 30*time.Second)
			for _, r := range both {
				r.stop(t)
				if r.reaches(both[2-r.n]) {
					t.Error("without a tunnel the hosts reach each other")
				}
				r.start(t)
				again := settles(t, both, o, 30*time.Second)
				t.Logf("settled after %v, traffic after %v more; after a restart of router %d's adit both after %v", took, met, r.n, again+meet(t, both, o, true, 30*time.Second))
			}
		})
	}
}

// RIP needs no state of its neighbours, and multicast alone.
func TestRIPRunsOverATunnel(t *testing.T) {
	both := makeRing(t, 2, overGRE)
	startAll(t, both, overGRE)
	for _, r := range both {
		r.speak(t, lab.Routing{RIP: true})
	}
	for _, r := range both {
		if !lab.Wait(2*patience, func() bool { return r.reaches(both[2-r.n]) }) {
			t.Errorf("the host of router %d has no route to the other", r.n)
		}
	}
}

// 10,000 routes come by BGP, lead to the link's device, and carry traffic; they are back after
// a restart.
func TestTenThousandRoutesComeByBGP(t *testing.T) {
	const many = 10_000
	for name, o := range map[string]over{"link": overLink, "GRE": overGRE} {
		t.Run(name, func(t *testing.T) {
			both := makeRing(t, 2, o)
			startAll(t, both, o)
			far := both[0].neighbours(o)
			for i := range many {
				far.Announced = append(far.Announced, netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0}), 24))
			}
			for _, i := range []int{0, many / 2, many - 1} { // some have a host
				sh(t, fmt.Sprintf("ip -n %s addr add 20.%d.%d.1/32 dev lo", both[0].ns, i>>8, i&255))
			}
			both[0].speak(t, far)
			both[1].speak(t, both[1].neighbours(o))
			arrive := func() time.Duration {
				began := time.Now()
				device := both[1].ends[0].device
				n := 0
				if !lab.Wait(30*time.Second, func() bool {
					n = strings.Count(lab.Run(t, both[1].ns, "ip", "route", "show", "root", "20.0.0.0/8"), "dev "+device)
					return n == many
				}) {
					t.Fatalf("%d routes lead to the link", n)
				}
				for _, i := range []int{0, many / 2, many - 1} {
					if addr := fmt.Sprintf("20.%d.%d.1", i>>8, i&255); !lab.Wait(30*time.Second, func() bool { return both[1].pings(addr) }) {
						t.Errorf("%s does not answer", addr)
					}
				}
				return time.Since(began)
			}
			took := arrive()
			both[1].stop(t)
			if out := lab.Run(t, both[1].ns, "ip", "route", "show", "root", "20.0.0.0/8"); out != "" {
				t.Errorf("without a device there are routes: %.200s", out)
			}
			both[1].start(t)
			t.Logf("there after %v, after a restart %v", took, arrive())
		})
	}
}
