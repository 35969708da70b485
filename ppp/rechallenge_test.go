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
