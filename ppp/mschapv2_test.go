package ppp

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// dice returns the given bytes first, and arbitrary bytes after them.
type dice struct {
	first *bytes.Reader
	rest  io.Reader
}

func (d *dice) Read(b []byte) (int, error) {
	if d.first.Len() > 0 {
		return d.first.Read(b)
	}
	return d.rest.Read(b)
}

func loaded(first []byte) *dice { return &dice{bytes.NewReader(first), machinetest.Rand(9)} }

// RFC 2759, section 9.2, over the wire and between both roles. The server's only random
// bytes are its magic number and its challenge; the client's are its magic number and its
// peer challenge.
func TestRFC2759VectorsEndToEnd(t *testing.T) {
	w := newWire(t, serverConfig(MethodMSCHAPv2), clientConfig(`BIGCO\User`, "clientPass"))
	w.ends[0].env.Rand = loaded(machinetest.Unhex(t, "11111111 5B5D7C7D7B3F2F3E3C2C602132262628"))
	w.ends[1].env.Rand = loaded(machinetest.Unhex(t, "22222222 21402324255E262A28295F2B3A337C7E"))
	w.start()
	if !w.run(5*time.Second, w.up) {
		t.Fatalf("no network:\n%s", w.describe())
	}
	response := machinetest.Unhex(t, "21402324255E262A28295F2B3A337C7E 0000000000000000"+
		"82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF 00")
	req, _ := machinetest.Find[AuthRequest](w.events[0])
	if !bytes.Equal(req.Response, response) {
		t.Errorf("the client's response\n%x, want\n%x", req.Response, response)
	}
	const success = "S=407A5589115FD0D6209F510FE9C04566932CDA56 M="
	if !sent(w.events[0], success) {
		t.Errorf("the server never sent %q", success)
	}
}

// sent tells whether a frame with this text was sent.
func sent(events []Event, text string) bool {
	for _, e := range events {
		if s, ok := e.(Send); ok && bytes.Contains(s.Frame, []byte(text)) {
			return true
		}
	}
	return false
}

func TestAServerThatDoesNotKnowThePasswordIsLeft(t *testing.T) {
	for _, proof := range []string{
		"S=0000000000000000000000000000000000000000", // wrong
		"S=407A5589115FD0D6209F510FE9C04566932CDA5",  // too short: the server must not send it
	} {
		w := newWire(t, serverConfig(MethodMSCHAPv2), clientConfig("User", "clientPass"))
		w.start()
		w.run(5*time.Second, func() bool { return w.ends[0].s.auth.pending })
		w.ends[0].HandleAuth(w.Now, 1, AuthAnswer{OK: true, Success: proof, Network: testNetwork})
		w.collect(0)
		if !w.run(time.Minute, w.down) {
			t.Fatalf("the link did not end:\n%s", w.describe())
		}
		d, _ := machinetest.Find[Down](w.events[1])
		want := ReasonServerUnverified
		if !isAuthenticatorResponse(proof) {
			want = ReasonAuthFailed
		}
		if d.Why != want {
			t.Errorf("%s: client's reason = %v, want %v", proof, d.Why, want)
		}
		if _, ok := machinetest.Find[NetworkUp](w.events[1]); ok {
			t.Error("the client used the network")
		}
	}
}

func TestMSCHAPFailureHasEveryFieldAndForbidsRetry(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openLCP(d)
	d.respond(49, "mary")
	d.verdict(AuthAnswer{Error: 647, Message: "Account disabled"})
	if out := d.out.String(); !strings.Contains(out, `Failure id=1 "E=647 R=0 C=`) ||
		!strings.Contains(out, ` V=3 M=Account disabled"`) {
		t.Errorf("Failure is not as RFC 2759 has it:\n%s", out)
	}
}

func TestAPasswordChangeIsRefusedClearly(t *testing.T) {
	d := newLadder(t, serverConfig(MethodMSCHAPv2))
	openLCP(d)
	d.recv("ff03 c223 07 02 000a 000102030405")
	out := d.out.String()
	if !strings.Contains(out, `Failure id=2 "E=709 R=0 C=`) || !strings.Contains(out, "password change refused") {
		t.Errorf("no clear refusal:\n%s", out)
	}
	if strings.Contains(out, "AuthRequest") {
		t.Error("the backend was asked")
	}
}

// openLCP brings LCP up with a plain client.
func openLCP(d *ladder) {
	d.t.Helper()
	d.recv("ff03 c021 01 01 000e 0104 0578 0506 11223344")
	d.ack(ProtocolLCP)
	if d.l.s.phase != phaseAuthenticate {
		d.t.Fatalf("LCP did not open:\n%s", d.out.String())
	}
}

// openNetwork brings the link up for mary.
func openNetwork(d *ladder) {
	d.t.Helper()
	openLCP(d)
	switch d.l.s.auth.method {
	case MethodPAP:
		d.recv("ff03 c023 01 01 0011 04 6d617279 07 68756e74657232")
	case MethodCHAP:
		d.respond(16, "mary")
	case MethodMSCHAPv2:
		d.respond(49, "mary")
	}
	d.verdict(AuthAnswer{OK: true, Success: someProof, Network: testNetwork})
	d.recv("ff03 8021 01 01 000a 0306 0a53000a")
	d.ack(ProtocolIPCP)
	if !d.l.s.ipcp.up {
		d.t.Fatalf("IPCP did not open:\n%s", d.out.String())
	}
}
