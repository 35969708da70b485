package ppp

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// grants makes a server's link that has sent its IPCP Configure-Request and knows the
// round trip.
func grants(t *testing.T, trip time.Duration, six bool) *ladder {
	t.Helper()
	d := &ladder{t: t, l: New(Env{Config: serverConfig(MethodMSCHAPv2), Rand: machinetest.Rand(1), RoundTrip: trip}), now: machinetest.Epoch, last: map[uint16][]byte{}}
	d.l.Start(d.now)
	d.drain()
	openLCP(d)
	d.respond(mschapResponseLen, "mary")
	d.verdict(AuthAnswer{OK: true, Success: someProof, Network: testNetwork, Network6: Network6{On: six}})
	return d
}

func granted(t *testing.T, trip time.Duration) *ladder { t.Helper(); return grants(t, trip, false) }

func granted6(t *testing.T, trip time.Duration) *ladder { t.Helper(); return grants(t, trip, true) }

const asksAddress = "8021 01 07 000a 0306 0a53000a"

// A client is open once it has our Ack, and then a copy of our request would take it
// down. So the client gets its Ack when we are open, too.
func TestTheAckOfANetworkWaitsForThePeers(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	machinetest.WantNoLine(t, d.since(func() { d.recv(asksAddress) }), "Configure-Ack")
	out := d.since(func() { d.ack(ProtocolIPCP) })
	machinetest.WantLine(t, out, "< IPCP Configure-Ack id=7")
	machinetest.WantLine(t, out, "* NetworkUp")
	if n := len(d.since(func() { d.wait(10 * time.Second) })); n == 0 || !d.l.s.ipcp.up {
		t.Error("the network went down")
	}
}

// The same holds where the client begins. Not every client begins IPv6.
func TestTheAckOfIPv6WaitsForThePeers(t *testing.T) {
	d := granted6(t, 80*time.Millisecond)
	out := d.since(func() { d.recv("8057 01 07 000e 010a 0000000000000005") })
	machinetest.WantLine(t, out, "< IPV6CP Configure-Request id=1")
	machinetest.WantNoLine(t, out, "Configure-Ack")
	out = d.since(func() { d.ack(ProtocolIPV6CP) })
	machinetest.WantLine(t, out, "< IPV6CP Configure-Ack id=7")
	machinetest.WantLine(t, out, "* Network6Up")
	machinetest.WantNoLine(t, d.since(func() { d.wait(10 * time.Second) }), "IPV6CP")
}

// While the Ack waits, our request is repeated at the pace of the path.
func TestARequestIsRepeatedWhileAnAckWaits(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	d.recv(asksAddress)
	out := d.since(func() { d.wait(400 * time.Millisecond) })
	machinetest.WantLine(t, out, "< IPCP Configure-Request id=1")
	machinetest.WantNoLine(t, out, "Configure-Ack")
}

// A client that answers only after it has been answered gets its Ack all the same.
func TestAnAckDoesNotWaitForEver(t *testing.T) {
	for _, trip := range []time.Duration{1, 20 * time.Millisecond, time.Second, 4 * time.Second} {
		d := granted(t, trip)
		d.recv(asksAddress)
		machinetest.WantLine(t, d.since(func() { d.wait(d.l.period()) }), "< IPCP Configure-Ack id=7")
		machinetest.WantLine(t, d.since(func() { d.ack(ProtocolIPCP) }), "* NetworkUp")
	}
}

// Only a packet from the client's address shows that the client is open, and so has
// acknowledged our request.
func TestDataIsTheMissingAck(t *testing.T) {
	for _, tt := range []struct {
		name, frame string
		after       time.Duration
		up          bool
	}{
		{"from its address", "21 45000014 00000000 40010000 0a53000a 01010101", time.Second, true},
		{"from another", "21 45000014 00000000 40010000 0a53000b 01010101", time.Second, false},
		{"of IPv6", "21 65000014 00000000 40010000 0a53000a 01010101", time.Second, false},
		{"too short", "21 45000014 00000000 40010000 0a53", time.Second, false},
		{"from before", "21 45000014 00000000 40010000 0a53000a 01010101", 10 * time.Millisecond, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := granted(t, 20*time.Millisecond)
			d.recv(asksAddress)
			d.wait(160 * time.Millisecond) // as long as the Ack is held
			d.wait(tt.after)
			out := d.since(func() { d.recv(tt.frame) })
			if tt.up {
				machinetest.WantLine(t, out, "* NetworkUp 10.83.0.1 10.83.0.10")
				machinetest.WantNoLine(t, d.since(func() { d.wait(20 * time.Second) }), "IPCP Configure-Request")
			} else {
				machinetest.WantNoLine(t, out, "NetworkUp")
			}
		})
	}
}

// In Ack-Rcvd the peer repeats its request by itself, and we have our Ack already.
func TestNothingIsSentInAckRcvdForAWhile(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	d.ack(ProtocolIPCP)
	machinetest.WantNoLine(t, d.since(func() { d.wait(10 * time.Second) }), "IPCP Configure-Request")
	machinetest.WantLine(t, d.since(func() { d.wait(10 * time.Second) }), "IPCP Configure-Request id=2")
}

// A request that was overtaken or sent twice is not a renegotiation.
func TestALateRequestDoesNotCloseAnOpenNetwork(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	first := "8021 01 06 0010 0306 00000000 8106 00000000"
	d.recv(first)
	d.recv(asksAddress)
	d.ack(ProtocolIPCP)
	out := d.since(func() { d.recv(first) })
	machinetest.WantLine(t, out, "not expected now")
	machinetest.WantNoLine(t, out, "NetworkDown")
	d.wait(10 * time.Second)
	machinetest.WantLine(t, d.since(func() { d.recv(first) }), "NetworkDown") // now the peer starts anew
}
