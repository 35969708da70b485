package ppp

import (
	"testing"
	"time"
)

// grants makes a server's link that has sent its request of IPCP and knows the round
// trip.
func grants(t *testing.T, trip time.Duration, six bool) *ladder {
	t.Helper()
	d := &ladder{t: t, l: New(Env{Config: serverConfig(MethodMSCHAPv2), Rand: testRand(1), RoundTrip: trip}), now: epoch, last: map[uint16][]byte{}}
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

// A client is open when it has our Ack, and a copy of our request would take it
// down: it has its Ack when we are open, too.
func TestTheAckOfANetworkWaitsForThePeers(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	wantNoLine(t, d.since(func() { d.recv(asksAddress) }), "Configure-Ack")
	out := d.since(func() { d.ack(ProtocolIPCP) })
	wantLine(t, out, "< IPCP Configure-Ack id=7")
	wantLine(t, out, "* NetworkUp")
	if n := len(d.since(func() { d.wait(10 * time.Second) })); n == 0 || !d.l.s.ipcp.up {
		t.Error("the network went down")
	}
}

// So it is where the client begins, which not every client does of IPv6.
func TestTheAckOfIPv6WaitsForThePeers(t *testing.T) {
	d := granted6(t, 80*time.Millisecond)
	out := d.since(func() { d.recv("8057 01 07 000e 010a 0000000000000005") })
	wantLine(t, out, "< IPV6CP Configure-Request id=1")
	wantNoLine(t, out, "Configure-Ack")
	out = d.since(func() { d.ack(ProtocolIPV6CP) })
	wantLine(t, out, "< IPV6CP Configure-Ack id=7")
	wantLine(t, out, "* Network6Up")
	wantNoLine(t, d.since(func() { d.wait(10 * time.Second) }), "IPV6CP")
}

// While the Ack waits, our request is repeated at the path's pace.
func TestARequestIsRepeatedWhileAnAckWaits(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	d.recv(asksAddress)
	out := d.since(func() { d.wait(400 * time.Millisecond) })
	wantLine(t, out, "< IPCP Configure-Request id=1")
	wantNoLine(t, out, "Configure-Ack")
}

// A client that answers only who has answered it has its Ack all the same.
func TestAnAckDoesNotWaitForEver(t *testing.T) {
	for _, trip := range []time.Duration{1, 20 * time.Millisecond, time.Second, 4 * time.Second} {
		d := granted(t, trip)
		d.recv(asksAddress)
		wantLine(t, d.since(func() { d.wait(d.l.period()) }), "< IPCP Configure-Ack id=7")
		wantLine(t, d.since(func() { d.ack(ProtocolIPCP) }), "* NetworkUp")
	}
}

// A packet from the client's address, and only such a one, says that the client is
// open, and so has acknowledged our request.
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
			d.wait(160 * time.Millisecond) // as long as the Ack waits
			d.wait(tt.after)
			out := d.since(func() { d.recv(tt.frame) })
			if tt.up {
				wantLine(t, out, "* NetworkUp 10.83.0.1 10.83.0.10")
				wantNoLine(t, d.since(func() { d.wait(20 * time.Second) }), "IPCP Configure-Request")
			} else {
				wantNoLine(t, out, "NetworkUp")
			}
		})
	}
}

// In Ack-Rcvd the peer repeats its request by itself. Ours is answered.
func TestNothingIsSentInAckRcvdForAWhile(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	d.ack(ProtocolIPCP)
	wantNoLine(t, d.since(func() { d.wait(10 * time.Second) }), "IPCP Configure-Request")
	wantLine(t, d.since(func() { d.wait(10 * time.Second) }), "IPCP Configure-Request id=2")
}

// What was overtaken or sent twice is no renegotiation.
func TestALateRequestDoesNotCloseAnOpenNetwork(t *testing.T) {
	d := granted(t, 80*time.Millisecond)
	first := "8021 01 06 0010 0306 00000000 8106 00000000"
	d.recv(first)
	d.recv(asksAddress)
	d.ack(ProtocolIPCP)
	out := d.since(func() { d.recv(first) })
	wantLine(t, out, "not expected now")
	wantNoLine(t, out, "NetworkDown")
	d.wait(10 * time.Second)
	wantLine(t, d.since(func() { d.recv(first) }), "NetworkDown") // a peer that starts anew
}
