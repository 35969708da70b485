//go:build real

package real

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/test/real/lab"
)

// around is how long OSPF may take to go round a link that is silent: until its neighbour is
// gone, and some seconds for what both ends say of that to get to everybody.
const around = lab.DeadInterval + 6*time.Second

// A ring of three links, of which one is cut: traffic goes round, within OSPF's own time, and
// comes back when the link does.
func TestTrafficGoesRoundALinkThatIsCut(t *testing.T) {
	for name, o := range map[string]over{"links": overLink, "GRE": overGRE} {
		t.Run(name, func(t *testing.T) {
			ring := makeRing(t, 3, o)
			startAll(t, ring, o)
			for _, r := range ring {
				r.speak(t, lab.Routing{OSPF3: o.six})
			}
			meet(t, ring, o, false, 30*time.Second)
			a, b := ring[0], ring[1]
			if n := hops(t, a, b); n != 2 {
				t.Errorf("%d routers are between the hosts, want the two of the wire", n)
			}
			cutWire(t, ring, 0, true)
			began := time.Now()
			if !lab.Wait(around, func() bool { return a.reaches(b) && b.reaches(a) }) {
				t.Fatalf("nothing goes round within %v", around)
			}
			round := time.Since(began)
			if n := hops(t, a, b); n != 3 {
				t.Errorf("%d routers are between the hosts, want all three", n)
			}
			meet(t, ring, o, false, around)
			if !lab.Wait(time.Minute, func() bool { return !a.up() && !b.up() }) {
				t.Error("a link whose wire is cut is up")
			}
			cutWire(t, ring, 0, false)
			began = time.Now()
			if !lab.Wait(30*time.Second, func() bool { return a.up() && b.up() && a.reaches(b) && hops(t, a, b) == 2 }) {
				t.Fatal("the link does not come back")
			}
			t.Logf("round after %v, back after %v", round, time.Since(began))
		})
	}
}

// A virtual network as in RFC 3884, section 3: four routers in a ring, IP in IP under
// transport mode between each two, and OSPF in it. Whatever happens, no wire sees anything but
// ESP and IKE: before the servers run, while hosts send, when a wire is cut, when a router's
// server is restarted, and afterwards.
func TestAVirtualNetworkShowsNothingOnAnyWire(t *testing.T) {
	o := overIPIP
	ring := makeRing(t, 4, o)
	var captures []*lab.Capture
	for w, r := range ring {
		captures = append(captures, here.CaptureOn(t, r.ns, fmt.Sprintf("w%d", w)))
	}
	for _, r := range ring {
		r.speak(t, lab.Routing{})
		for _, other := range ring {
			// All the time, whether there is a way or not.
			lab.Start(t, lab.Command(r.host, "ping", "-n", "-q", "-i", "0.1", "-s", "500", other.address), filepath.Join(t.TempDir(), "ping"))
		}
		if r.reaches(ring[r.n%4]) {
			t.Error("without a tunnel the hosts reach each other")
		}
	}
	startAll(t, ring, o)
	meet(t, ring, o, false, 30*time.Second)
	if n := hops(t, ring[0], ring[1]); n != 2 {
		t.Errorf("%d routers are between the hosts of a wire", n)
	}

	cutWire(t, ring, 0, true)
	meet(t, ring, o, false, around)
	if n := hops(t, ring[0], ring[1]); n != 4 {
		t.Errorf("%d routers are between the hosts of a wire that is cut, want all four", n)
	}
	cutWire(t, ring, 0, false)
	if !lab.Wait(time.Minute, func() bool { return hops(t, ring[0], ring[1]) == 2 }) {
		t.Error("the tunnel does not come back")
	}
	ring[2].stop(t)
	if !lab.Wait(around, func() bool { return ring[1].reaches(ring[0]) && ring[0].reaches(ring[3]) }) {
		t.Error("without one router those others do not reach each other")
	}
	ring[2].start(t)
	meet(t, ring, o, false, 30*time.Second)

	for w, c := range captures {
		c.Stop(t)
		kinds := c.Kinds(t)
		for kind, n := range kinds {
			if !protected(kind) {
				t.Errorf("wire %d: %d packets are %s", w, n, kind)
			}
		}
		if n := kinds["eth:ethertype:ip:esp"]; n < 300 {
			t.Errorf("wire %d: %d packets of ESP", w, n)
		}
	}
}

// protected reports whether what a dissector found shows nothing: ESP, IKE, and who has what
// address on a wire; or a router that has no server says that about one of those.
func protected(kind string) bool {
	kind = strings.TrimPrefix(kind, "eth:ethertype:")
	kind = strings.TrimPrefix(kind, "ip:icmp:")
	return kind == "arp" || kind == "ip:esp" || kind == "ip:udp:isakmp"
}
