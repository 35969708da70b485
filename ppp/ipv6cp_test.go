package ppp

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// wire6 is a line on which both ends also have IPv6.
func wire6(t *testing.T) *wire {
	c := clientConfig("User6", "clientPass")
	c.IPv6 = true
	return newWire(t, serverConfig(MethodPAP), c)
}

func checkIDs(t *testing.T, w *wire) {
	t.Helper()
	a, ok := machinetest.Find[Network6Up](w.events[0])
	b, ok2 := machinetest.Find[Network6Up](w.events[1])
	if !ok || !ok2 || a != b || a.Network.Local != DefaultInterfaceID || a.Network.Peer == (InterfaceID{}) || a.Network.Peer == a.Network.Local {
		t.Errorf("the ends agreed on %+v and %+v", a, b)
	}
	if a.Network.Peer[0]&2 != 0 {
		t.Errorf("the universal bit is set in the random identifier %v", a.Network.Peer)
	}
}

func TestBothNetworksComeUp(t *testing.T) {
	w := wire6(t)
	w.start()
	if !w.run(5*time.Second, w.up6) {
		t.Fatalf("no networks within 5 s:\n%s", w.describe())
	}
	checkIDs(t, w)
	w.ends[1].Close(w.Now, ReasonUserRequest)
	w.collect(1)
	if !w.run(10*time.Second, w.down) || machinetest.Count[Network6Down](w.events[0]) != 1 || machinetest.Count[NetworkDown](w.events[0]) != 1 {
		t.Errorf("the networks did not go down once each:\n%s", w.describe())
	}
}

func TestBothNetworksComeUpOverABadLine(t *testing.T) {
	for seed := range byte(12) {
		w := wire6(t)
		for _, l := range w.ends {
			l.env.Config.SetupTimeout = 0
		}
		w.Rand = rand.New(machinetest.Rand(seed))
		w.Loss, w.Dup, w.Jitter = 0.15, 0.15, 400*time.Millisecond
		w.start()
		if !w.run(10*time.Minute, w.up6) {
			t.Fatalf("seed %d: no networks:\n%s", seed, w.describe())
		}
	}
}

func TestOneSideWithoutIPv6HasIPv4(t *testing.T) {
	for name, config := range map[string]func(*Config){
		"client": func(c *Config) { c.IPv6 = false },
		"server": func(c *Config) { c.User = "User" },
	} {
		w := wire6(t)
		config(w.ends[1].env.Config)
		w.start()
		if !w.run(5*time.Second, w.up) {
			t.Fatalf("%s: no network:\n%s", name, w.describe())
		}
		w.run(3*time.Minute, func() bool { return false })
		if !w.up() || w.up6() || machinetest.Count[Down](w.events[0])+machinetest.Count[Down](w.events[1]) != 0 {
			t.Errorf("%s has no IPv6: %s", name, w.describe())
		}
	}
}

// on6 is a ladder in the Network phase, with IPv6 granted.
func on6(t *testing.T, six Network6) *ladder {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openLCP(d)
	d.respond(49, "mary")
	six.On = true
	d.verdict(AuthAnswer{OK: true, Success: someProof, Network: testNetwork, Network6: six})
	return d
}

func TestWindowsTranscriptWithIPv6(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	d.recv("ff03 c021 01 00 0015 0104 0578 0506 5a1b2c3d 0702 0802 0d0306")
	d.recv("ff03 c021 01 01 0012 0104 0578 0506 5a1b2c3d 0702 0802")
	d.ack(ProtocolLCP)
	d.respond(49, `CORP\mary`)
	d.verdict(AuthAnswer{OK: true, Success: someProof, Network: testNetwork, Network6: Network6{On: true}})
	d.recv("8057 01 05 000e 010a 1122334455667788")
	d.recv("8021 01 06 0022 0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000")
	d.ack(ProtocolIPV6CP)
	d.ack(ProtocolIPCP)
	d.recv("8021 01 07 0016 0306 00000000 8106 00000000 8306 00000000")
	d.recv("8021 01 08 0016 0306 0a53000a 8106 09090909 8306 01010101")
	d.recv("57 60000000 0000 3b ff fe80000000000000 1122334455667788 ff020000000000000000000000000002")
	d.recv("ff03 c021 05 0a 0010 5a1b2c3d 003ccd74 00000000")
	d.wait(4 * time.Second)
	machinetest.Transcript(t, "windows6", d.out.String())
}

func TestIdentifiers(t *testing.T) {
	granted := InterfaceID{1, 2, 3, 4, 5, 6, 7, 8}
	for _, tt := range []struct {
		name, frame, want string
		six               Network6
	}{
		{"the client's own", "8057 01 01 000e 010a 1122334455667788", "IPV6CP Configure-Ack id=1 ", Network6{}},
		{"zero", "8057 01 01 000e 010a 0000000000000000", "IPV6CP Configure-Nak id=1 ", Network6{}},
		{"ours", "8057 01 01 000e 010a 0000000000000001", "IPV6CP Configure-Nak id=1 ", Network6{}},
		{"none", "8057 01 01 0004", "IPV6CP Configure-Nak id=1 ", Network6{}},
		{"another than granted", "8057 01 01 000e 010a 1122334455667788", "IPV6CP Configure-Nak id=1 <1 0102030405060708>", Network6{Peer: granted}},
		{"as granted", "8057 01 01 000e 010a 0102030405060708", "IPV6CP Configure-Ack id=1 ", Network6{Peer: granted}},
		{"compression", "8057 01 01 0012 0204 004f 010a 1122334455667788", "IPV6CP Configure-Reject id=1 <2 004f>", Network6{}},
		{"a short identifier", "8057 01 01 000a 0106 11223344", "IPV6CP Configure-Reject id=1 ", Network6{}},
	} {
		d := on6(t, tt.six)
		out := d.since(func() { d.recv(tt.frame) })
		machinetest.WantLine(t, out, tt.want)
		if strings.Contains(tt.want, "Nak") {
			machinetest.WantNoLine(t, out, "IPV6CP Configure-Nak id=1 <1 0000000000000000>")
			machinetest.WantNoLine(t, out, "IPV6CP Configure-Nak id=1 <1 0000000000000001>")
		}
	}
}

// The server begins IPv6 only when the client has begun: not every client knows it.
func TestIPv6IsBegunByTheClient(t *testing.T) {
	d := on6(t, Network6{})
	machinetest.WantNoLine(t, d.out.String(), "IPV6CP")
	d.wait(20 * time.Second)
	machinetest.WantNoLine(t, d.out.String(), "IPV6CP")
}

func TestALinkLivesByOneNetwork(t *testing.T) {
	for _, tt := range []struct{ name, six, four, end string }{
		{"IPCP is rejected", "", "c021 08 50 0006 8021", ""},
		{"IPCP is ended", "", "8021 05 50 0004", ""},
		{"IPV6CP is rejected", "c021 08 50 0006 8057", "", ""},
		{"IPV6CP is ended", "8057 05 50 0004", "", ""},
	} {
		d := on6(t, Network6{})
		d.recv("8057 01 01 000e 010a 1122334455667788")
		d.ack(ProtocolIPV6CP)
		d.recv("8021 01 08 0016 0306 0a53000a 8106 09090909 8306 01010101")
		d.ack(ProtocolIPCP)
		if !d.l.s.ipcp.up || !d.l.s.ipv6cp.up {
			t.Fatal("the networks are not up")
		}
		d.recv(tt.six + tt.four)
		for range 4 { // a peer that is present answers echoes
			d.wait(15 * time.Second)
			d.recv("c021 09 70 0008 11223344")
		}
		if d.l.s.phase != phaseNetwork || d.l.s.ipcp.up != (tt.four == "") || d.l.s.ipv6cp.up != (tt.six == "") {
			t.Errorf("%s: phase %d, IPv4 %v, IPv6 %v", tt.name, d.l.s.phase, d.l.s.ipcp.up, d.l.s.ipv6cp.up)
		}
	}
}

func TestANetworkThatEndedMayComeBack(t *testing.T) {
	d := on6(t, Network6{})
	d.recv("8021 01 08 0016 0306 0a53000a 8106 09090909 8306 01010101")
	d.ack(ProtocolIPCP)
	for n := range 2 {
		d.recv("8057 01 01 000e 010a 1122334455667788")
		d.ack(ProtocolIPV6CP)
		if !d.l.s.ipv6cp.up {
			t.Fatalf("it did not come up, time %d:\n%s", n, d.out.String())
		}
		d.recv("8057 05 50 0004")
		for range 2 { // the answer, and the time to repeat it
			d.wait(3 * time.Second)
		}
	}
}

func TestALinkWithoutAnyNetworkEnds(t *testing.T) {
	d := on6(t, Network6{})
	d.recv("c021 08 50 0006 8021")
	for range 5 {
		d.wait(15 * time.Second)
		d.recv("c021 09 70 0008 11223344")
	}
	machinetest.WantLine(t, d.out.String(), "* Down: no network protocol could be agreed")
}
