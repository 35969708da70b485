package ppp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// RFC 1661, section 5: "Octets outside the range of the Length field are treated
// as padding and are ignored on reception."
func TestWhatLiesBehindAPacketIsPadding(t *testing.T) {
	for _, m := range allMethods {
		for _, pad := range [][]byte{{0}, {0xff}, make([]byte, 4), bytes.Repeat([]byte{1}, 300)} {
			client := clientConfig("User6", "clientPass")
			client.IPv6 = true
			w := newWire(t, serverConfig(m), client)
			w.pad = pad
			w.start()
			if !w.run(2*time.Second, w.up6) {
				t.Errorf("%v, %d bytes of %x behind every packet: no network:\n%s", m, len(pad), pad[0], w.describe())
				continue
			}
			w.ends[0].Prove(w.Now)
			w.collect(0)
			w.run(time.Second, func() bool { return machinetest.Count[Proved](w.events[0]) > 0 })
			if machinetest.Count[Proved](w.events[0]) != 1 {
				t.Error("an Echo-Reply with padding proves nothing")
			}
			w.ends[1].Close(w.Now, ReasonUserRequest)
			w.collect(1)
			if !w.run(20*time.Second, w.down) {
				t.Errorf("the link does not end:\n%s", w.describe())
			}
			if d, _ := machinetest.Find[Down](w.events[0]); d.PeerText != "user request" {
				t.Errorf("the server reads %q", d.PeerText)
			}
		}
	}
}

// A packet that is shorter than its length field is dropped for a reason that is counted,
// whatever the protocol, the code and the phase.
func TestAPacketThatIsShorterThanItSaysIsMalformed(t *testing.T) {
	for n, s := range stages {
		_, end := stage(t, n)
		for _, protocol := range []uint16{ProtocolLCP, ProtocolPAP, ProtocolCHAP, ProtocolIPCP, ProtocolIPV6CP} {
			for code := byte(1); code <= 13; code++ {
				w, _ := stage(t, n)
				l := w.ends[end]
				frame := appendPacket(appendFrame(nil, protocol), code, 1, make([]byte, 8))
				err := l.HandlePacket(w.Now, frame[:len(frame)-1])
				if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnexpected) && !rejected(drain(l)) {
					t.Errorf("%s: %s code %d: %v", s.name, ProtocolName(protocol), code, err)
				}
			}
		}
	}
}

// rejected tells whether events contain a Protocol-Reject: a peer that does not know a
// protocol does not parse it.
func rejected(events []Event) bool {
	for _, e := range events {
		if s, ok := e.(Send); ok && bytes.HasPrefix(s.Frame, []byte{0xff, 3, 0xc0, 0x21, codeProtocolReject}) {
			return true
		}
	}
	return false
}

// Each copy of a Challenge gets a Response with a challenge of the peer's own, and the
// peer accepts only the proof that belongs to its last Response (RFC 2759, section 5). No
// more Responses are judged than copies were sent.
func TestTheVerdictIsOnTheLastResponse(t *testing.T) {
	for copies := 1; copies <= 3; copies++ {
		t.Run(fmt.Sprint(copies), func(t *testing.T) {
			d := newLadder(t, serverConfig(MethodMSCHAPv2))
			openLCP(d)
			d.wait(time.Duration(copies-1) * restartPeriod)
			first := d.ticket
			for i := range copies + 1 {
				response := bytes.Repeat([]byte{byte(i + 1)}, mschapResponseLen)
				for range 2 { // a repeated Response joins the pending request
					d.recv(fmt.Sprintf("ff03c22302%02x%04x%02x%x6d617279", d.id, 5+len(response)+4, len(response), response))
				}
			}
			if got := int(d.ticket - first); got != copies {
				t.Errorf("%d verdicts were asked for, want %d", got, copies)
			}
			last := d.ticket
			d.l.HandleAuth(d.now, last-1, AuthAnswer{OK: true, Success: someProof, Network: testNetwork})
			if copies > 1 && d.l.s.auth.passed {
				t.Error("the verdict on an earlier Response opened the link")
			}
			d.verdict(AuthAnswer{OK: true, Success: someProof, Network: testNetwork})
			if !d.l.s.auth.passed {
				t.Error("the verdict on the last Response did not open the link")
			}
		})
	}
}

// Where the path is long, a repeat waits for one and a half round trips.
func TestNothingIsRepeatedBeforeItsAnswerCanCome(t *testing.T) {
	for _, tt := range []struct{ trip, period time.Duration }{
		{0, 3 * time.Second}, {100 * time.Millisecond, 3 * time.Second}, {2 * time.Second, 3 * time.Second},
		{3200 * time.Millisecond, 4800 * time.Millisecond}, {4 * time.Second, 6 * time.Second}, {time.Minute, maxPeriod},
	} {
		l := New(Env{Config: serverConfig(MethodMSCHAPv2), Rand: machinetest.Rand(1), RoundTrip: tt.trip})
		l.Start(machinetest.Epoch)
		if got := l.Deadline().Sub(machinetest.Epoch); got != tt.period {
			t.Errorf("with a round trip of %v a Configure-Request is repeated after %v, want %v", tt.trip, got, tt.period)
		}
	}
}
