package ppp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
)

// newTwoWayWire is a line whose client demands that the server authenticates itself. The
// server has a password for that, and the client knows it.
func newTwoWayWire(t testing.TB, demand PeerAuth, server, client []Method) *wire {
	s, c := serverConfig(server...), clientConfig("head", "clientPass", client...)
	s.Shows, c.PeerAuth, c.Name, c.AuthTimeout = true, demand, "head", 25*time.Second
	w := newWire(t, s, c)
	w.show, w.peerPassword = Credentials{"branch", secret.String("serverPass")}, "serverPass"
	return w
}

// proofs are by what the client and the server have authenticated themselves, as an end
// heard it.
func proofs(events []Event) (client, server string) {
	for _, e := range events {
		switch a, ok := e.(Authenticated); {
		case ok && a.User == "head":
			client += a.Method.String() + ";"
		case ok:
			server += a.Method.String() + ";"
		}
	}
	return client, server
}

// Each direction is authenticated by a method of its own, or by the same (RFC 1661, section
// 6.2), and there is no network before both are.
func TestBothEndsAuthenticateThemselves(t *testing.T) {
	for _, ours := range allMethods {
		for _, theirs := range allMethods {
			for _, demand := range []PeerAuth{PeerAuthAsked, PeerAuthRequired} {
				t.Run(fmt.Sprint(ours, theirs, demand), func(t *testing.T) {
					w := newTwoWayWire(t, demand, []Method{ours, theirs}, []Method{theirs, ours})
					w.start()
					if !w.run(5*time.Second, w.up) {
						t.Fatalf("no network within 5 s:\n%s", w.describe())
					}
					if took := w.Now.Sub(machinetest.Epoch); took >= restartPeriod {
						t.Errorf("it took %v: something was sent twice", took)
					}
					for i, events := range w.events {
						if client, server := proofs(events); client != ours.String()+";" || server != theirs.String()+";" {
							t.Errorf("end %d has heard of the client %q, of the server %q", i, client, server)
						}
					}
				})
			}
		}
	}
}

func TestBothEndsAuthenticateThemselvesOverABadLine(t *testing.T) {
	for _, m := range allMethods {
		for seed := range byte(12) {
			w := newTwoWayWire(t, PeerAuthRequired, []Method{m}, []Method{m})
			for _, l := range w.ends {
				l.env.Config.SetupTimeout = 0
			}
			if w.Rand = rand.New(machinetest.Rand(seed)); seed%2 == 0 {
				w.measured()
			}
			w.Loss, w.Dup, w.Jitter = 0.15, 0.15, 400*time.Millisecond
			w.start()
			if !w.run(10*time.Minute, w.up) {
				t.Fatalf("%v, seed %d: no network:\n%s", m, seed, w.describe())
			}
		}
	}
}

// An end that cannot authenticate itself, or not to this peer, is taken where that was only
// asked for, and is not where it is required.
func TestAnEndThatDoesNotAuthenticateItself(t *testing.T) {
	for name, spoil := range map[string]func(w *wire){
		"it cannot":                  func(w *wire) { w.ends[0].env.Config.Shows = false },
		"not to this peer":           func(w *wire) { w.show = Credentials{} },
		"not by what the other asks": func(w *wire) { w.ends[0].env.Config.Methods = []Method{MethodPAP} },
	} {
		for _, demand := range []PeerAuth{PeerAuthNone, PeerAuthAsked, PeerAuthRequired} {
			t.Run(fmt.Sprint(name, demand), func(t *testing.T) {
				w := newTwoWayWire(t, demand, []Method{MethodMSCHAPv2}, allMethods)
				spoil(w)
				if name == "not by what the other asks" {
					w.ends[1].env.Config.Methods = []Method{MethodPAP}
					w.ends[0].env.Config.Shows = false
				}
				w.start()
				switch {
				case demand == PeerAuthRequired:
					if !w.run(2*time.Minute, w.down) {
						t.Fatalf("the link does not end:\n%s", w.describe())
					}
					if d, _ := machinetest.Find[Down](w.events[1]); d.Why != ReasonAuthRefused || d.Detail == "" {
						t.Errorf("the client went down because of %v: %s", d.Why, d.Detail)
					}
				case !w.run(5*time.Second, w.up):
					t.Fatalf("no network:\n%s", w.describe())
				}
				if _, server := proofs(w.events[1]); server != "" {
					t.Errorf("the server has authenticated itself by %q", server)
				}
			})
		}
	}
}

// An end that proves another password than the one that is expected is refused: there is no
// network at either end.
func TestAnEndThatProvesAnotherPassword(t *testing.T) {
	for _, m := range allMethods {
		for _, demand := range []PeerAuth{PeerAuthAsked, PeerAuthRequired} {
			w := newTwoWayWire(t, demand, []Method{m}, []Method{m})
			w.show.Password = secret.String("guessed")
			w.start()
			if !w.run(2*time.Minute, w.down) {
				t.Fatalf("%v: the link does not end:\n%s", m, w.describe())
			}
			d, _ := machinetest.Find[Down](w.events[1])
			if f, ok := machinetest.Find[AuthFailed](w.events[1]); !ok || f.User != "branch" || d.Why != ReasonAuthFailed {
				t.Errorf("%v: the client says %+v, %+v", m, f, d)
			}
			if f, ok := machinetest.Find[AuthFailed](w.events[0]); !ok || f.User != "branch" {
				t.Errorf("%v: the server says %+v", m, f)
			}
			for i, events := range w.events {
				if _, up := machinetest.Find[NetworkUp](events); up {
					t.Errorf("%v: end %d had a network", m, i)
				}
			}
		}
	}
}

// Who is not known to be the other end sees no answer to a challenge, from which a password
// could be guessed.
func TestAStrangerSeesNoProof(t *testing.T) {
	for _, m := range allMethods {
		w := newTwoWayWire(t, PeerAuthRequired, []Method{m}, []Method{m})
		w.password = "another than the client's"
		w.start()
		if !w.run(2*time.Minute, w.down) {
			t.Fatalf("%v: the link does not end:\n%s", m, w.describe())
		}
		for _, e := range w.events[0] {
			if s, ok := e.(Send); ok && (bytes.HasPrefix(s.Frame, []byte{0xff, 3, 0xc2, 0x23, chapResponse}) || bytes.HasPrefix(s.Frame, []byte{0xff, 3, 0xc0, 0x23, papRequest})) {
				t.Errorf("%v: the server has sent %x", m, s.Frame)
			}
		}
	}
}

// A challenge that is our own, sent back, gets no answer.
func TestAReflectedChallengeIsNotAnswered(t *testing.T) {
	for _, m := range []Method{MethodCHAP, MethodMSCHAPv2} {
		w := newTwoWayWire(t, PeerAuthRequired, []Method{m}, []Method{m})
		w.start()
		w.run(5*time.Second, func() bool { return len(w.ends[1].s.auth.challenge) > 0 })
		l := w.ends[1]
		challenge := append([]byte{0xff, 3, 0xc2, 0x23, chapChallenge, l.s.auth.id, 0, 4 + 1 + challengeLen, challengeLen}, l.s.auth.challenge...)
		drain(l)
		if err := l.HandlePacket(w.Now, challenge); err == nil || len(drain(l)) > 0 {
			t.Errorf("%v: it is answered: %v", m, err)
		}
	}
}

// An end that agrees to authenticate itself, and hangs up when it is challenged, or says
// nothing more, is named.
func TestAnEndThatAgreesAndDoesNot(t *testing.T) {
	for name, more := range map[string][]byte{"it hangs up": {0xff, 3, 0xc0, 0x21, codeTerminateRequest, 9, 0, 4}, "it says nothing": nil} {
		for _, m := range allMethods[:2] {
			w := newTwoWayWire(t, PeerAuthAsked, []Method{m}, []Method{m})
			w.start()
			w.run(5*time.Second, func() bool { return len(w.ends[1].s.auth.challenge) > 0 })
			l := w.ends[1]
			if more != nil {
				_ = l.HandlePacket(w.Now, more)
			}
			for range 100 {
				w.collect(1)
				if l.s.phase == phaseDone {
					break
				}
				w.Now = l.Deadline()
				l.HandleTimer(w.Now)
			}
			if d, _ := machinetest.Find[Down](w.events[1]); d.Why != ReasonUnproven {
				t.Errorf("%s, %v: it went down because of %v", name, m, d.Why)
			}
		}
	}
}

// A router that is dialled and demands no authentication, and rejects its own, has shown
// nothing but the pre-shared key: there is no network with it.
func TestARouterThatAsksForNothing(t *testing.T) {
	for _, demand := range []PeerAuth{PeerAuthNone, PeerAuthAsked, PeerAuthRequired} {
		w := newTwoWayWire(t, demand, []Method{MethodMSCHAPv2}, []Method{MethodMSCHAPv2})
		w.ends[1].env.Config.Router, w.ends[1].env.Config.Unnumbered = true, true
		l := w.ends[1]
		l.Start(w.Now)
		reply := func(code, id byte, options []byte) {
			frame := []byte{0xff, 3, 0xc0, 0x21, code, id, 0, byte(4 + len(options))}
			_ = l.HandlePacket(w.Now, append(frame, options...))
		}
		reply(codeConfigureRequest, 1, nil)
		up, down := false, false
		for _, e := range impostor(l, reply) {
			switch e := e.(type) {
			case NetworkUp:
				up = true
			case Send:
				up = up || bytes.HasPrefix(e.Frame, []byte{0xff, 3, 0x80, 0x21}) // IPCP begins
				down = down || bytes.HasPrefix(e.Frame, []byte{0xff, 3, 0xc0, 0x21, codeTerminateRequest})
			}
		}
		if up || !down {
			t.Errorf("%v: it negotiates a network with whoever answers: %v, and hangs up: %v", demand, up, down)
		}
	}
}

// impostor answers what a link sends in LCP: it rejects authentication, and agrees to all
// else. It returns all events.
func impostor(l *Link, reply func(code, id byte, options []byte)) (all []Event) {
	for range 10 {
		events := drain(l)
		all = append(all, events...)
		for _, e := range events {
			s, ok := e.(Send)
			if !ok || !bytes.HasPrefix(s.Frame, []byte{0xff, 3, 0xc0, 0x21, codeConfigureRequest}) {
				continue
			}
			id, options := s.Frame[5], s.Frame[8:]
			code, said := byte(codeConfigureAck), options
			for at := 0; at+1 < len(options); at += int(options[at+1]) {
				if options[at] == lcpAuth {
					code, said = codeConfigureReject, options[at:at+int(options[at+1])]
				}
			}
			reply(code, id, said)
		}
	}
	return all
}

// Without an exchange a server lets nobody in, whatever LCP has agreed on.
func TestNobodyPassesWithoutAMethod(t *testing.T) {
	l := newWire(t, serverConfig(), clientConfig("head", "clientPass", allMethods...)).ends[0]
	l.s.phase = phaseAuthenticate
	l.startAuth(machinetest.Epoch)
	if l.s.phase != phaseAuthenticate {
		t.Fatal("a client that has proved nothing may negotiate a network")
	}
}
