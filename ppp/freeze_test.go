package ppp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/frozen"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// A new field of the state must be frozen, too, and raise the version.
func TestEveryFieldIsFrozen(t *testing.T) {
	var l Link
	machinetest.Fill(t, &l.s)
	l.s.lcp.automaton.held = nil // LCP never holds an Ack
	state := l.Append(nil)
	got, err := Resume(Env{}, state)
	if err != nil {
		t.Fatal(err)
	}
	if diff := machinetest.StateDiff(l.s, got.s); diff != "" {
		t.Errorf("what was thawed differs (-want +got):\n%s", diff)
	}
	machinetest.FrozenForm(t, fmt.Sprint(frozenVersion), state)
}

// Every transcript, and every conversation over a bad line, stays the same when each link
// is frozen and thawed each time its events have been drained.
func TestFrozenAndThawedAtEveryStep(t *testing.T) {
	thaw = func([]byte) {}
	defer func() { thaw = nil }()
	machinetest.EveryTranscript(t, map[string]func(*testing.T){
		"windows": TestWindowsTranscript, "windows6": TestWindowsTranscriptWithIPv6, "apple": TestAppleTranscript,
		"android": TestAndroidTranscript, "pppd": TestPppdTranscript, "router": TestRouterTranscript,
		"each method": TestBothRolesConnectByEachMethod, "a bad line": TestBothRolesConnectOverABadLine,
		"a wrong password": TestWrongPasswordIsRefusedByEachMethod, "the client's wish": TestServerFollowsTheClientsWishOfMethod,
		"a slow backend": TestASlowBackendIsWaitedFor, "no verdict": TestABackendThatNeverAnswersEndsTheLink,
		"the other way": TestANegotiationThatGoesTheOtherWayEnds, "who insists": TestAPeerThatInsistsIsLeft,
		"close": TestCloseEndsBothSidesInOrder, "both networks": TestBothNetworksComeUpOverABadLine,
		"windows compresses": TestWindowsCompressionTranscript, "pppd compresses": TestPppdCompressionTranscript,
		"both compress": TestBothRolesAgreeOnCompression, "authenticated again": TestAPeerAuthenticatesAgain, "one network ends": TestALinkLivesByOneNetwork, "and comes back": TestANetworkThatEndedMayComeBack,
	})
}

// life runs two links on a bad line, as a seed determines, and returns their events and
// their final states.
func life(t testing.TB, seed byte) (events [2][]Event, states [2][]byte, end time.Time) {
	server, client := serverConfig(clientMethods[int(seed)%len(clientMethods)]), clientConfig("User6", "clientPass")
	server.SetupTimeout, client.SetupTimeout, client.IPv6 = 0, 0, true
	if seed%3 == 0 {
		server.Compression, client.Compression = bothCompressors, bothCompressors
	}
	w := newWire(t, server, client)
	if w.Rand = rand.New(machinetest.Rand(seed)); seed%2 == 0 {
		w.measured()
	}
	w.Loss, w.Dup, w.Jitter = 0.15, 0.15, 400*time.Millisecond
	w.start()
	if !w.run(10*time.Minute, w.up6) {
		t.Fatalf("seed %d: no network:\n%s", seed, w.describe())
	}
	w.ends[0].Prove(w.Now)
	w.collect(0)
	w.run(10*time.Second, func() bool { return false })
	// The client begins anew, and then falls silent for a while.
	w.ends[1].fire(w.Now, lcp{w.ends[1]}, evDown, stimulus{})
	w.ends[1].fire(w.Now, lcp{w.ends[1]}, evUp, stimulus{})
	w.collect(1)
	w.run(10*time.Minute, w.up6)
	w.Loss = 1
	w.run(45*time.Second, func() bool { return false })
	w.Loss = 0.15
	w.run(time.Minute, func() bool { return false })
	w.ends[seed%2].Close(w.Now, ReasonAdmin)
	w.collect(int(seed % 2))
	w.run(time.Minute, w.down)
	for i, l := range w.ends {
		states[i] = l.Append(nil)
	}
	return w.events, states, w.Now
}

func TestAThawedLinkLivesTheSameLife(t *testing.T) { machinetest.SameLife(t, &thaw, life) }

func TestWhatIsNoFrozenLinkIsRefused(t *testing.T) {
	l := New(Env{Config: serverConfig(MethodPAP), Rand: machinetest.Rand(1)})
	l.Start(machinetest.Epoch)
	drain(l)
	state := l.Append(nil)
	later := bytes.Clone(state)
	later[0]++
	if _, err := Resume(l.env, later); !errors.Is(err, frozen.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	for n := range state {
		if _, err := Resume(l.env, state[:n]); !errors.Is(err, frozen.ErrMalformed) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(state), err)
		}
	}
}

// Append panics rather than lose a pending event.
func TestWhatIsNotDrainedIsNotFrozen(t *testing.T) {
	l := New(Env{Config: serverConfig(MethodPAP), Rand: machinetest.Rand(1)})
	l.Start(machinetest.Epoch)
	defer func() {
		if recover() == nil {
			t.Error("its first message waits, and it was frozen")
		}
	}()
	l.Append(nil)
}

// A link resumed from arbitrary bytes never panics, and freezes to the same state again.
func FuzzResume(f *testing.F) {
	defer func() { thaw = nil }()
	n := 0
	thaw = func(state []byte) {
		if n++; n%7 == 1 {
			f.Add(state, n%2 == 1, []byte("\xff\x03\xc0\x21\x01\x01\x00\x0e\x01\x04\x05\x78\x05\x06\x11\x22\x33\x44"))
		}
	}
	life(f, 3)
	thaw = nil
	frames := machinetest.Seeds(f, "ppp")
	f.Fuzz(func(t *testing.T, state []byte, client bool, frame []byte) {
		c := serverConfig(allMethods...)
		if client {
			c = clientConfig("User", "clientPass")
		}
		c.Compression = bothCompressors
		l, err := Resume(Env{Config: c, Rand: machinetest.Rand(1)}, state)
		if err != nil {
			return
		}
		if again := l.Append(nil); !bytes.Equal(again, state) {
			t.Fatalf("frozen again it is\n%x, not\n%x", again, state)
		}
		now := machinetest.Epoch
		for _, b := range append([][]byte{frame}, frames[:8]...) {
			_ = l.HandlePacket(now, bytes.Clone(b))
			now = now.Add(2 * time.Second)
			l.HandleTimer(now)
			l.Deadline()
			drain(l)
			l.Append(nil)
		}
		l.HandleAuth(now, l.s.auth.ticket, AuthAnswer{OK: true, Success: someProof, Network: testNetwork})
		l.Prove(now)
		l.Close(now, ReasonAdmin)
		drain(l)
	})
}
