package ppp

import (
	"errors"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// rechallenged brings a link up, and then challenges its client once more from another
// link, whose events it returns. By then password is the right one.
func rechallenged(t *testing.T, method Method, password string) (w *wire, own *Link, events []Event) {
	t.Helper()
	w = newWire(t, serverConfig(method), clientConfig("User", "clientPass", method))
	w.start()
	if !w.run(10*time.Second, w.up) {
		t.Fatal(w.describe())
	}
	own = w.ends[0]
	w.events[0], w.password = nil, password
	w.ends[0] = Rechallenge(Env{Config: serverConfig(method), Rand: machinetest.Rand(3)}, method, w.Now)
	w.collect(0)
	w.run(20*time.Second, func() bool { return w.ends[0].s.phase == phaseDone })
	return w, own, w.events[0]
}

func TestAPeerIsChallengedAnew(t *testing.T) {
	for _, method := range []Method{MethodCHAP, MethodMSCHAPv2} {
		w, own, events := rechallenged(t, method, "clientPass")
		passed := false
		for _, e := range events {
			switch e := e.(type) {
			case Authenticated:
				passed = e.User == "User"
			case NetworkUp, LinkUp:
				t.Errorf("%v: a challenge alone led to %T", method, e)
			}
		}
		if !passed || w.ends[0].s.phase != phaseDone {
			t.Errorf("%v: the client did not pass: %v", method, events)
		}
		if own.s.phase != phaseNetwork || w.ends[1].s.phase != phaseNetwork || !w.ends[1].s.ipcp.up {
			t.Errorf("%v: the link itself did not go on: %s", method, w.describe())
		}
	}
}

func TestWhoFailsTheSecondChallengeHarmsNoLinkButItsOwn(t *testing.T) {
	_, own, events := rechallenged(t, MethodMSCHAPv2, "another password")
	failed := false
	for _, e := range events {
		switch e.(type) {
		case AuthFailed:
			failed = true
		case Authenticated:
			t.Error("a client with the wrong password passed")
		}
	}
	if !failed || own.s.phase != phaseNetwork {
		t.Errorf("%v; the link is in phase %v", events, own.s.phase)
	}
}

func TestAChallengeAloneTakesNothingButItsAnswer(t *testing.T) {
	l := Rechallenge(Env{Config: serverConfig(MethodMSCHAPv2), Rand: machinetest.Rand(3)}, MethodMSCHAPv2, machinetest.Epoch)
	for _, frame := range []string{"\xff\x03\xc0\x21\x05\x01\x00\x04", "\xff\x03\xc0\x21\x01\x01\x00\x04", "\x80\x21\x01\x01\x00\x04", "\x00\x21\x45\x00"} {
		if err := l.HandlePacket(machinetest.Epoch, []byte(frame)); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%x: %v", frame, err)
		}
	}
	if n := len(drain(l)); n != 1 {
		t.Errorf("%d events, want the Challenge", n)
	}
}

// A peer authenticates again while its network stays up, also on a line that loses frames. It
// passes by its password alone, and one that does not pass loses its link.
func TestAPeerAuthenticatesAgain(t *testing.T) {
	for _, method := range []Method{MethodCHAP, MethodMSCHAPv2, MethodEAP} {
		for name, tt := range map[string]struct {
			password string
			loss     float64
			goesOn   bool
		}{
			"right":                {"clientPass", 0, true},
			"right, on a bad line": {"clientPass", 0.2, true},
			"wrong":                {"another password", 0, false},
			"silent":               {"clientPass", 1, false},
		} {
			t.Run(method.String()+", "+name, func(t *testing.T) {
				w := newWire(t, serverConfig(method), clientConfig("User", "clientPass", method))
				w.start()
				if !w.run(10*time.Second, w.up) {
					t.Fatal(w.describe())
				}
				w.ends[0].HandleData(w.Now)
				w.ends[0].confirmSuccess()
				w.events, w.password, w.Loss = [2][]Event{}, tt.password, tt.loss
				if !w.ends[0].Reauthenticate(w.Now) {
					t.Fatal("it cannot be asked")
				}
				w.collect(0)
				w.run(50*time.Second, w.down)
				requests, passed, why := 0, false, Reason(0)
				for _, e := range w.events[0] {
					switch e := e.(type) {
					case AuthRequest:
						if requests++; !e.Again || e.User != "User" {
							t.Errorf("asked about %+v", e)
						}
					case Authenticated:
						passed = true
					case Down:
						why = e.Why
					case LinkUp, NetworkUp:
						t.Errorf("it led to %T", e)
					case NetworkDown:
						if tt.goesOn {
							t.Error("the network went down")
						}
					}
				}
				if passed != tt.goesOn || (tt.loss < 1) != (requests > 0) {
					t.Errorf("passed: %v, after %d questions", passed, requests)
				}
				if tt.goesOn != (why == 0) || !tt.goesOn && why != ReasonSessionTimeout || tt.goesOn && !w.up() {
					t.Errorf("the link ended with %v: %s", why, w.describe())
				}
			})
		}
	}
}

// By PAP a peer cannot be asked, nor one that has not come in.
func TestWhoCannotBeAskedAgain(t *testing.T) {
	w := newWire(t, serverConfig(MethodPAP), clientConfig("User", "clientPass", MethodPAP))
	if w.start(); w.ends[0].Reauthenticate(w.Now) {
		t.Error("a link that has just begun asks again")
	}
	if !w.run(10*time.Second, w.up) {
		t.Fatal(w.describe())
	}
	if w.ends[0].Reauthenticate(w.Now) || !w.ends[0].s.auth.passed {
		t.Error("PAP asks again")
	}
	if w.ends[0].Close(w.Now, ReasonAdmin); w.ends[0].Reauthenticate(w.Now) {
		t.Error("a link that ends asks again")
	}
}

// While the peer is asked again, one that negotiates the link anew authenticates as ever.
func TestANewLinkEndsAskingAgain(t *testing.T) {
	w := newWire(t, serverConfig(MethodMSCHAPv2), clientConfig("User", "clientPass", MethodMSCHAPv2))
	w.start()
	if !w.run(10*time.Second, w.up) {
		t.Fatal(w.describe())
	}
	w.ends[0].Reauthenticate(w.Now)
	drain(w.ends[0]) // its Challenge is lost
	w.events = [2][]Event{}
	again := []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad, 0, 4} // Configure-Request without options
	for i, l := range w.ends {
		_ = l.HandlePacket(w.Now, again)
		w.collect(i)
	}
	w.run(20*time.Second, func() bool { return w.up() && w.ends[0].s.auth.passed })
	for _, e := range w.events[0] {
		if e, ok := e.(AuthRequest); ok && e.Again {
			t.Errorf("%+v", e)
		}
	}
	if !w.up() {
		t.Error(w.describe())
	}
}
