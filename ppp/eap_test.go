package ppp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// eapLadder is a server's link whose LCP is open, with EAP, and whose peer has been asked for
// its name.
func eapLadder(t *testing.T, methods ...Method) *ladder {
	t.Helper()
	d := newLadder(t, serverConfig(append([]Method{MethodEAP}, methods...)...))
	d.recv("ff03 c021 01 01 000e 0104 0578 0506 5a1b2c3d")
	d.ack(ProtocolLCP)
	return d
}

// name has the peer say its name.
func (d *ladder) name(id byte, name string) {
	d.recv(fmt.Sprintf("ff03c22702%02x%04x01%x", id, 5+len(name), name))
}

// news is what has happened since it was last asked.
func (d *ladder) news() string {
	s := d.out.String()
	d.out.Reset()
	return s
}

// eap is an EAP packet.
func eap(code, id byte, data string) []byte { return appendPacket(nil, code, id, []byte(data)) }

// events is what the link tells after a packet.
func (d *ladder) take(packet []byte) (list []Event) {
	d.t.Helper()
	if err := d.l.HandlePacket(d.now, append([]byte{0xff, 3, 0xc2, 0x27}, packet...)); err != nil {
		d.t.Fatal(err)
	}
	return drain(d.l)
}

// An exchange goes on until there is a verdict. Each Response is the backend's once, and a
// Request is repeated as it was.
func TestEAPPassesThrough(t *testing.T) {
	d := eapLadder(t)
	if got := d.news(); !strings.Contains(got, "< LCP Configure-Request id=1 <mru 1400> <auth c227>") || !strings.HasSuffix(got, "< c227 0101000501\n") {
		t.Fatalf("the link begins\n%s", got)
	}
	events := d.take(eap(eapResponse, 1, "\x01alice"))
	ask, ok := events[0].(AuthRequest)
	if !ok || len(events) != 1 || ask.User != "alice" || ask.Method != MethodEAP || ask.Continued || string(ask.EAP) != string(eap(eapResponse, 1, "\x01alice")) {
		t.Fatalf("the name makes %+v", events)
	}
	if again := d.take(eap(eapResponse, 1, "\x01alice")); len(again) != 0 {
		t.Errorf("the name again makes %+v", again)
	}
	d.l.HandleAuth(d.now, ask.Ticket, AuthAnswer{EAP: eap(eapRequest, 77, "\x1a challenge")})
	d.drain()
	first := d.news()
	d.wait(4 * time.Second)
	if again := d.news(); !strings.HasSuffix(again, first) || !strings.HasPrefix(first, "< c227 014d") {
		t.Errorf("the Request is %q, and when it has been lost %q", first, again)
	}
	for what, late := range map[string][]byte{"of the old Request": eap(eapResponse, 1, "\x01alice"), "that is a Request": eap(eapRequest, 77, "\x01"), "without a type": eap(eapResponse, 77, "")} {
		if err := d.l.HandlePacket(d.now, append([]byte{0xff, 3, 0xc2, 0x27}, late...)); err == nil || len(drain(d.l)) > 0 {
			t.Errorf("a Response %s is taken", what)
		}
	}
	events = d.take(eap(eapResponse, 77, "\x1a answer"))
	ask, ok = events[0].(AuthRequest)
	if !ok || !ask.Continued || ask.User != "alice" || string(ask.EAP) != string(eap(eapResponse, 77, "\x1a answer")) {
		t.Fatalf("the answer makes %+v", events)
	}
	d.l.HandleAuth(d.now, ask.Ticket, AuthAnswer{OK: true, Network: testNetwork})
	d.drain()
	if got := d.news(); !strings.Contains(got, "< c227 034d0004\n") || !strings.Contains(got, "ppp.Authenticated{Method:eap User:alice}") || !strings.Contains(got, "< IPCP Configure-Request") {
		t.Errorf("the verdict makes\n%s", got)
	}
	if again := d.take(eap(eapResponse, 77, "\x1a answer")); len(again) != 1 || render(again[0].(Send).Frame) != "c227 034d0004" {
		t.Errorf("the answer again, when Success has been lost, makes %+v", again)
	}
}

func TestEAPFailureEndsTheLink(t *testing.T) {
	for what, answer := range map[string]AuthAnswer{
		"refused": {}, "a Request cut short": {EAP: eap(eapRequest, 2, "\x1a")[:3]}, "a Success as the next Request": {EAP: eap(eapSuccess, 2, "")},
		"a Request without a type": {EAP: eap(eapRequest, 2, "")}, "a length too large": {EAP: []byte{1, 2, 0, 9, 26}},
	} {
		d := eapLadder(t)
		d.name(1, "mallory")
		d.news()
		d.ticket = d.l.s.auth.ticket
		d.verdict(answer)
		d.wait(10 * time.Second)
		if got := d.news(); !strings.HasPrefix(got, "< c227 04010004\n") || !strings.Contains(got, "* Down: authentication failed") {
			t.Errorf("%s makes\n%s", what, got)
		}
	}
}

// A peer that says anything before its name, or a name that nobody can have, is not asked
// about.
func TestEAPBeginsWithAName(t *testing.T) {
	for what, packet := range map[string][]byte{
		"Nak": eap(eapResponse, 1, "\x03\x1a"), "a method": eap(eapResponse, 1, "\x1a\x02"), "nothing": eap(eapResponse, 1, ""),
		"a long name": eap(eapResponse, 1, "\x01"+strings.Repeat("x", maxName+1)), "another identifier": eap(eapResponse, 2, "\x01alice"),
	} {
		d := eapLadder(t)
		if err := d.l.HandlePacket(d.now, append([]byte{0xff, 3, 0xc2, 0x27}, packet...)); err == nil {
			t.Errorf("%s is taken", what)
		}
		if events := drain(d.l); len(events) > 0 {
			t.Errorf("%s makes %+v", what, events)
		}
	}
}

// An exchange without an end ends.
func TestEAPHasAnEnd(t *testing.T) {
	d := eapLadder(t)
	for id := byte(1); ; id++ {
		ask := d.take(eap(eapResponse, id, "\x01alice"))[0].(AuthRequest)
		d.l.HandleAuth(d.now, ask.Ticket, AuthAnswer{EAP: eap(eapRequest, id+1, "\x0d")})
		if d.drain(); !strings.Contains(d.news(), "AuthFailed") {
			continue
		}
		if id != maxEAPSteps {
			t.Errorf("it ends after %d Responses, want %d", id, maxEAPSteps)
		}
		return
	}
}

// A peer that does not know EAP has what it asks for, if that is allowed, and no link if it is
// not.
func TestEAPIsRefused(t *testing.T) {
	for _, tt := range []struct {
		methods []Method
		want    string
	}{{[]Method{MethodMSCHAPv2}, "<auth c22381>"}, {nil, "Down: peer accepts no offered authentication method"}} {
		d := newLadder(t, serverConfig(append([]Method{MethodEAP}, tt.methods...)...))
		d.recv("ff03 c021 01 01 000e 0104 0578 0506 5a1b2c3d")
		d.news()
		d.recv("ff03 c021 03 01 0009 03 05 c22381")
		d.wait(10 * time.Second)
		if got := d.news(); !strings.Contains(got, tt.want) {
			t.Errorf("with %v also allowed a Nak makes\n%s\nwant %s", tt.methods, got, tt.want)
		}
	}
}

// A server authenticates itself by other methods alone.
func TestEAPIsForClientsAlone(t *testing.T) {
	c := serverConfig(MethodEAP, MethodCHAP)
	c.Shows = true
	d := newLadder(t, c)
	d.news()
	d.recv("ff03 c021 01 01 0008 0304 c227")
	if got := d.news(); !strings.Contains(got, "Configure-Nak id=1 <auth c22305>") {
		t.Errorf("who demands EAP gets\n%s", got)
	}
}

// eapClient is a client's link whose server asks for EAP.
func eapClient(t *testing.T) *ladder {
	t.Helper()
	d := newLadder(t, clientConfig("alice", "clientPass"))
	d.recv("ff03 c021 01 01 0008 0304 c227")
	d.ack(ProtocolLCP)
	d.news()
	return d
}

// A client answers each Request, again as before, and says what it has.
func TestEAPAsClient(t *testing.T) {
	d := eapClient(t)
	for _, tt := range []struct{ request, want string }{
		{"ff03c227 01 05 0005 01", "< c227 0205000a01616c696365\n"},
		{"ff03c227 01 05 0005 01", "< c227 0205000a01616c696365\n"},
		{"ff03c227 01 06 0007 02 6869", "< c227 0206000502\n"},
		{"ff03c227 01 07 0006 0d20", "< c227 02070006031a\n"},
		{"ff03c227 01 08 0006 1920", "< c227 02080006031a\n"},
		{"ff03c227 01 09 000a 1a 03 01 0005 53", "* dropped: ppp: EAP: not expected now\n"}, // a verdict before a challenge
		{"ff03c227 03 05 0004", "* dropped: ppp: EAP: not expected now\n"},                  // Success before a proof
		{"ff03c227 01 0a 0004", "* dropped: ppp: EAP: malformed\n"},
		{"ff03c227 01 0a 0008 1a 01 01 00", "* dropped: ppp: EAP: malformed\n"},
		{"ff03c227 02 0a 0005 01", "* dropped: ppp: EAP: not expected now\n"},
	} {
		d.recv(tt.request)
		if got := d.news(); !strings.HasSuffix(got, "\n"+tt.want) {
			t.Errorf("%s makes\n%s\nwant %s", tt.request, got, tt.want)
		}
	}
}

// A server that does not prove that it knows the password is no server.
func TestEAPProvesTheServer(t *testing.T) {
	d := eapClient(t)
	d.recv("ff03c227 01 07 001b 1a 01 01 0016 10 000102030405060708090a0b0c0d0e0f 73")
	if got := d.news(); !strings.Contains(got, "< c227 020700401a02") {
		t.Fatalf("a challenge makes\n%s", got)
	}
	d.recv(fmt.Sprintf("ff03c227 01 08 0033 1a 03 01 002e %x", someProof))
	d.wait(10 * time.Second)
	if got := d.news(); !strings.Contains(got, "Down: server could not prove") {
		t.Errorf("a wrong proof makes\n%s", got)
	}
}

// A link that is thawed between two steps goes on.
func TestEAPIsFrozenBetweenSteps(t *testing.T) {
	d := eapLadder(t)
	ask := d.take(eap(eapResponse, 1, "\x01alice"))[0].(AuthRequest)
	d.l.HandleAuth(d.now, ask.Ticket, AuthAnswer{EAP: eap(eapRequest, 2, "\x0d\x20")})
	drain(d.l)
	copied, err := Resume(d.l.env, d.l.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	d.l = copied
	next := d.take(eap(eapResponse, 2, "\x0d\x00"))
	if r, ok := next[0].(AuthRequest); !ok || !r.Continued || r.User != "alice" {
		t.Errorf("it goes on with %+v", next)
	}
}

func FuzzEAP(f *testing.F) {
	f.Add([]byte{2, 1, 0, 10, 1, 'a', 'l', 'i', 'c', 'e'}, []byte{1, 2, 0, 6, 26, 1})
	f.Add([]byte{2, 1, 0, 4}, []byte{1, 2, 0, 4})
	f.Add([]byte{2, 2, 0, 5, 3}, []byte{3, 2, 0, 4})
	f.Fuzz(func(t *testing.T, response, request []byte) {
		l := New(Env{Config: serverConfig(MethodEAP), Rand: machinetest.Rand(1)})
		l.s.phase, l.s.lcp.automaton.state, l.s.lcp.method = phaseAuthenticate, opened, MethodEAP
		l.startAuth(machinetest.Epoch)
		for range 3 {
			_ = l.HandlePacket(machinetest.Epoch, append([]byte{0xff, 3, 0xc2, 0x27}, response...))
			for _, e := range drain(l) {
				if ask, ok := e.(AuthRequest); ok {
					if len(ask.User) > maxName {
						t.Errorf("a name of %d bytes", len(ask.User))
					}
					l.HandleAuth(machinetest.Epoch, ask.Ticket, AuthAnswer{EAP: request})
				}
			}
		}
	})
}
