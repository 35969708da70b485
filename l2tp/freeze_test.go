package l2tp

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

// A field that is added to the state must be frozen, too, and the version raised.
func TestEveryFieldIsFrozen(t *testing.T) {
	var l Tunnel
	machinetest.Fill(t, &l.s)
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

// All transcripts, and all conversations over a bad line, are the same if each
// tunnel is frozen and thawed whenever it has been drained.
func TestFrozenAndThawedAtEveryStep(t *testing.T) {
	thaw = func([]byte) {}
	defer func() { thaw = nil }()
	machinetest.EveryTranscript(t, map[string]func(*testing.T){
		"windows": TestWindowsTranscript, "apple": TestAppleTranscript, "android": TestAndroidTranscript, "xl2tpd": TestXl2tpdTranscript,
		"connect": TestLACAndLNSConnect, "a bad line": TestLACAndLNSConnectOverABadLine, "authentication": TestTunnelAuthentication,
		"hangup": TestHangupEndsOneSession, "a second session": TestASecondSessionIsRefusedWhenOneIsTheLimit,
		"a dead peer": TestADeadPeerIsNoticedByHello, "a probe": TestAProbeIsAHelloAtOnce, "data": TestDataIsLiveness,
		"timeouts": TestSetupTimeouts, "the secret": TestTheSecretIsAskedForWhereItHasToBe,
		"round trip": TestTheRoundTripIsKnownWhenASessionStands,
	})
}

// life runs a LAC and an LNS over a bad line; the seed decides what happens. It
// returns their events and their states at the end.
func life(t testing.TB, seed byte) (events [2][]Event, states [2][]byte, end time.Time) {
	lac, lns := withSecret(testConfig(), "shared"), withSecret(testConfig(), "shared")
	for _, c := range []*Config{lac, lns} {
		c.SetupTimeout, c.CallTimeout, c.Sessions = 0, 0, 2
	}
	w := newWire(t, lac, lns)
	w.Rand = rand.New(machinetest.Rand(seed))
	w.Loss, w.Dup, w.Jitter = 0.2, 0.2, 2*time.Second
	call := func() {
		if _, err := w.ends[0].Call(w.Now, Call{Serial: uint32(seed), CallingNumber: "123"}); err != nil {
			t.Fatal(err)
		}
	}
	call()
	call()
	if !w.run(5*time.Minute, w.sessionsUp) {
		t.Fatalf("seed %d: no session:\n%s", seed, w.describe())
	}
	w.run(3*time.Minute, func() bool { return false }) // HELLOs
	for _, s := range w.ends[0].s.sessions[:1] {
		w.ends[0].Hangup(w.Now, s.Local, Result{Code: CallAdmin, Message: "bye"})
	}
	w.ends[1].HandleData(w.Now)
	w.run(20*time.Second, func() bool { return false })
	w.ends[int(seed)%2].Close(w.Now, Result{Code: StopShutdown})
	w.run(5*time.Minute, w.closed)
	for i, l := range w.ends {
		states[i] = l.Append(nil)
	}
	return w.events, states, w.Now
}

func TestAThawedTunnelLivesTheSameLife(t *testing.T) { machinetest.SameLife(t, &thaw, life) }

func TestWhatIsNoFrozenTunnelIsRefused(t *testing.T) {
	l := NewLAC(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
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
	for name, spoil := range map[string]func(*tunnelData){
		"a message without a header": func(s *tunnelData) { s.channel.sent = []outgoing{{data: []byte("short")}} },
		"a call of an LNS":           func(s *tunnelData) { s.sessions = []session{{state: waitConnect}} },
		"a call that is none":        func(s *tunnelData) { s.sessions = []session{{state: sessionIdle}} },
	} {
		spoilt, err := Resume(l.env, state)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&spoilt.s)
		if _, err := Resume(l.env, spoilt.Append(nil)); !errors.Is(err, frozen.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A pending event is not lost without notice.
func TestWhatIsNotDrainedIsNotFrozen(t *testing.T) {
	l := NewLAC(Env{Config: testConfig(), Rand: machinetest.Rand(1)}, machinetest.Epoch)
	defer func() {
		if recover() == nil {
			t.Error("its first message waits, and it was frozen")
		}
	}()
	l.Append(nil)
}

// A tunnel that Resume makes from arbitrary bytes never panics, and freezing it
// again yields the same bytes.
func FuzzResume(f *testing.F) {
	defer func() { thaw = nil }()
	n := 0
	thaw = func(state []byte) {
		if n++; n%7 == 1 {
			f.Add(state, machinetest.Unhex(f, "c802 0014 0000 0000 0000 0000 8008 0000 0000 0006"))
		}
	}
	life(f, 3)
	thaw = nil
	var messages [][]byte
	for _, b := range machinetest.Seeds(f, "l2tp") {
		if IsControl(b) {
			messages = append(messages, b)
		}
	}
	f.Fuzz(func(t *testing.T, state, message []byte) {
		l, err := Resume(Env{Config: withSecret(testConfig(), "secret"), Rand: machinetest.Rand(1)}, state)
		if err != nil {
			return
		}
		if again := l.Append(nil); !bytes.Equal(again, state) {
			t.Fatalf("frozen again it is\n%x, not\n%x", again, state)
		}
		now := machinetest.Epoch
		for _, b := range append([][]byte{message}, messages[:8]...) {
			_ = l.HandlePacket(now, address(l, b))
			now = now.Add(2 * time.Second)
			l.HandleTimer(now)
			l.Deadline()
			drain(l)
			l.Append(nil)
		}
		l.Probe(now)
		_, _ = l.Call(now, Call{})
		l.Close(now, Result{Code: StopShutdown})
		drain(l)
	})
}
