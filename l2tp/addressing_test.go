package l2tp

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// ids are the ids that clients write into a header instead of the id that we
// assigned.
func ids(ours, theirs uint16) map[string]uint16 {
	return map[string]uint16{"ours": ours, "zero": 0, "its own": theirs}
}

// A client that never uses the ids that we assign can still connect and leave: if
// there is one tunnel and one waiting call, it means that one.
func TestHeadersWithoutTheIDsThatWeAssigned(t *testing.T) {
	for tunnelName := range ids(0, 0) {
		for sessionName := range ids(0, 0) {
			t.Run(fmt.Sprintf("tunnel %s, session %s", tunnelName, sessionName), func(t *testing.T) {
				d := newLadder(t, testConfig())
				d.sccrq(windowsSCCRQ)
				tunnel := ids(d.l.ID(), 1)[tunnelName]
				say := func(session uint16, kind messageType, avps string) {
					t.Helper()
					b := d.build(tunnel, session, d.ns, d.nr, kind, avps)
					if kind != 0 {
						d.ns++
					}
					if err := d.l.HandlePacket(d.now, b); err != nil {
						t.Fatalf("%v: %v", kind, err)
					}
					d.drain()
				}
				say(0, scccn, "")
				say(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000")
				session := ids(d.seen, 9)[sessionName]
				say(session, iccn, "800a 0000 0018 05f5e100 800a 0000 0013 00000001")
				machinetest.WantLine(t, d.out.String(), "SessionUp")
				say(0, 0, "")
				machinetest.WantLine(t, d.since(func() { say(0, hello, "") }), "< ZLB")
				machinetest.WantLine(t, d.since(func() { say(session, cdn, "800a 0000 0001 0003 0000") }), "SessionDown")
				machinetest.WantLine(t, d.since(func() { say(0, stopccn, "800a 0000 0001 0006 0000") }), "TunnelDown")
			})
		}
	}
}

// If two calls wait, 0 means neither of them; the client's own id still identifies
// one.
func TestOneOfTwoWaitingCalls(t *testing.T) {
	for _, tt := range []struct {
		name    string
		session uint16 // of ICCN; 0xffff: ours
		up      bool
	}{{"zero", 0, false}, {"of neither", 77, false}, {"its own", 9, true}, {"ours", 0xffff, true}} {
		t.Run(tt.name, func(t *testing.T) {
			config := testConfig()
			config.Sessions = 2
			d := newLadder(t, config)
			d.sccrq(windowsSCCRQ)
			d.recv(0, scccn, "")
			d.recv(0, icrq, "8008 0000 000e 0009 800a 0000 000f 00000000")
			first := d.seen
			d.recv(0, icrq, "8008 0000 000e 000a 800a 0000 000f 00000001")
			session := tt.session
			if session == 0xffff {
				session = first
			}
			err := d.l.HandlePacket(d.now, d.build(d.l.ID(), session, d.ns, d.nr, iccn, "800a 0000 0018 05f5e100 800a 0000 0013 00000001"))
			d.drain()
			if up := d.l.find(first) != nil && d.l.find(first).state == sessionEstablished; up != tt.up || (err == nil) != tt.up {
				t.Errorf("up %v, %v", up, err)
			}
			if !tt.up && !errors.Is(err, ErrUnexpected) {
				t.Errorf("error = %v", err)
			}
			if len(d.l.s.sessions) != 2 {
				t.Errorf("%d calls are left", len(d.l.s.sessions))
			}
		})
	}
}

// A message that names another tunnel is not accepted by this one.
func TestMessagesForAnotherTunnelAreRefused(t *testing.T) {
	d := newLadder(t, testConfig())
	d.open()
	for name, b := range map[string][]byte{
		"an id of nobody":          d.build(d.l.ID()^1, 0, d.ns, d.nr, hello, ""),
		"a StopCCN of another":     d.build(0, 0, d.ns, d.nr, stopccn, "8008 0000 0009 0077 800a 0000 0001 0006 0000"),
		"a StopCCN of another, id": d.build(1, 0, d.ns, d.nr, stopccn, "8008 0000 0009 0077 800a 0000 0001 0006 0000"),
	} {
		if err := d.l.HandlePacket(d.now, b); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !d.l.Established() {
		t.Error("the tunnel is down")
	}
}

// A HELLO asks whether we are here. It is answered, whatever else it contains.
func TestHelloIsAnsweredWhateverItHolds(t *testing.T) {
	for name, avps := range map[string]string{
		"nothing":                   "",
		"an AVP that is cut":        "8008 0000",
		"an AVP longer than it":     "80ff 0000 0009 0001",
		"an AVP of no length":       "8000 0000 0009 0001",
		"a known AVP of wrong size": "8007 0000 0009 01",
		"an optional unknown AVP":   "0008 0009 1234 0001",
	} {
		t.Run(name, func(t *testing.T) {
			d := newLadder(t, testConfig())
			d.open()
			for _, session := range []uint16{0, d.seen, 77} {
				out := d.since(func() { d.recv(session, hello, avps) })
				machinetest.WantLine(t, out, "< ZLB")
				machinetest.WantNoLine(t, out, "* ")
			}
			d.wait(time.Second)
			if !d.l.Established() {
				t.Error("the tunnel is down")
			}
		})
	}
}
