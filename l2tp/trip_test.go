package l2tp

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// The layer above the tunnel knows how long the path and back takes, even if the
// path is so slow that every message is repeated, or loses the first copy of a
// message.
func TestTheRoundTripIsKnownWhenASessionStands(t *testing.T) {
	for _, trip := range []time.Duration{1, 2 * time.Millisecond, 100 * time.Millisecond, time.Second, 3200 * time.Millisecond, 4 * time.Second, 6 * time.Second} {
		for _, lost := range []string{"nothing", "SCCRP", "ICRP"} {
			if lost != "nothing" && trip >= time.Second {
				continue // copies of it have been sent by then
			}
			t.Run(fmt.Sprintf("%v, %s lost", trip, lost), func(t *testing.T) {
				lns := NewLNS(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
				now := machinetest.Epoch
				peer := &script{t: t, l: lns}
				peer.send(now, "SCCRQ", 0, 0)
				peer.waitCopy(&now, lost == "SCCRP")
				now = now.Add(trip)
				peer.fire(now)
				peer.send(now, "SCCCN", 1, 1)
				peer.send(now, "ICRQ", 2, 1)
				peer.waitCopy(&now, lost == "ICRP")
				now = now.Add(trip)
				peer.fire(now)
				peer.send(now, "ICCN", 3, 2)
				if n, got := machinetest.Count[SessionUp](peer.events), lns.RoundTrip(); n != 1 || got != trip {
					t.Errorf("%d sessions are up, with a round trip of %v", n, got)
				}
			})
		}
	}
}

// script is a peer whose messages the test sends one by one.
type script struct {
	t      *testing.T
	l      *Tunnel
	events []Event
}

func (s *script) send(now time.Time, kind string, ns, nr uint16) {
	s.t.Helper()
	var o *outline
	switch kind {
	case "SCCRQ":
		o = compose(sccrq).uint16(avpProtocolVersion, protocolVersion).uint32(avpFraming, framing).add(avpHostName, 'x').uint16(avpAssignedTunnel, 7)
	case "SCCCN":
		o = compose(scccn)
	case "ICRQ":
		o = compose(icrq).uint16(avpAssignedSession, 9).uint32(avpCallSerial, 1)
	case "ICCN":
		o = compose(iccn).uint32(avpTxSpeed, 1).uint32(avpFramingType, 1)
	}
	h := header{ns: ns, nr: nr}
	if kind != "SCCRQ" {
		h.tunnel = s.l.ID()
	}
	if kind == "ICCN" {
		h.session = s.l.s.sessions[0].Local
	}
	putHeader(o.b, h)
	if err := s.l.HandlePacket(now, o.b); err != nil {
		s.t.Fatalf("%s: %v", kind, err)
	}
	s.events = append(s.events, drain(s.l)...)
}

// waitCopy lets time pass until the first repetition, if the first copy was lost.
func (s *script) waitCopy(now *time.Time, lost bool) {
	if lost {
		*now = s.l.Deadline()
		s.fire(*now)
	}
}

// fire runs every timer that is due until now.
func (s *script) fire(now time.Time) {
	for d := s.l.Deadline(); !d.IsZero() && !d.After(now); d = s.l.Deadline() {
		s.l.HandleTimer(d)
		s.events = append(s.events, drain(s.l)...)
	}
}
