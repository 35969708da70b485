package ike

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/frozen"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// A field that is added to the state must be frozen, too, and the version raised.
func TestEveryFieldIsFrozen(t *testing.T) {
	var s SA
	machinetest.Fill(t, &s.st, stepUp, Suite{CipherAES, 256, HashSHA1, GroupECP256})
	state := s.Append(nil)
	got, err := Resume(Env{}, state)
	if err != nil {
		t.Fatal(err)
	}
	if diff := machinetest.StateDiff(s.st, got.st); diff != "" {
		t.Errorf("what was thawed differs (-want +got):\n%s", diff)
	}
	machinetest.FrozenForm(t, fmt.Sprint(frozenVersion), state)
}

// All transcripts, and all conversations over a bad line, are the same if each SA
// is frozen and thawed whenever it has been drained.
func TestFrozenAndThawedAtEveryStep(t *testing.T) {
	thaw = func([]byte) {}
	defer func() { thaw = nil }()
	machinetest.EveryTranscript(t, map[string]func(*testing.T){
		"life": TestTranscriptOfALife, "refusals": TestTranscriptOfRefusals, "aggressive": TestTranscriptOfAggressiveMode,
		"each message lost": TestEachMessageLostOnce, "a bad line": TestLossDuplicationAndReordering, "storms": TestStorms,
		"half-open": TestHalfOpenTimesOut, "refused in clear": TestRefusalInClearOnlyNamesTheReason,
		"a wrong key": TestWrongPreSharedKey, "garbage": TestGarbageBeforeMessage5,
	})
}

// ways are the ways in which two ends authenticate.
var ways = []struct {
	name string
	pair func(testing.TB) *pair
}{
	{"Main Mode", newPairOfOneGroup},
	{"Aggressive Mode", func(t testing.TB) *pair {
		p := newPairOfOneGroup(t)
		p.client.env.Policy.Aggressive, p.server.env.Policy.Aggressive = true, true
		return p
	}},
	{"signatures", func(t testing.TB) *pair { return signedPair(t, AuthRSA) }},
}

func newPairOfOneGroup(t testing.TB) *pair {
	p := newPair(t)
	p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}}
	return p
}

// live runs two SAs over a bad line; the seed decides what happens.
func live(p *pair, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 1))
	var late []datagram
	p.tamper = func(d datagram) []datagram {
		out := late
		late = nil
		switch dice.IntN(6) {
		case 0: // lost
		case 1: // twice
			out = append(out, d, d)
		case 2: // arrives after the message that follows it
			late = append(late, d)
		default:
			out = append(out, d)
		}
		return out
	}
	p.initiate()
	p.wait(time.Minute)
	if !p.client.sa.Established() || p.server.sa == nil || !p.server.sa.Established() {
		return // lost too often
	}
	_ = p.client.sa.Negotiate(p.now, ChildRequest{LocalPort: 1701})
	p.wait(time.Minute)
	_ = p.server.sa.Negotiate(p.now, ChildRequest{Group: GroupECP256})
	_ = p.client.sa.Negotiate(p.now, ChildRequest{Suites: []ESPSuite{{Cipher: ESP3DES, Auth: ESPAuthSHA1_96}}})
	p.wait(10 * time.Second)
	p.server.sa.Probe(p.now, 0)
	p.wait(20 * time.Second)
	p.client.sa.DeleteChildren(p.now, []uint32{0x10000001})
	p.wait(time.Second)
	p.client.sa.Close(p.now, ReasonLocal)
	p.wait(time.Minute)
}

// remains is the part of a pair's state that can be compared.
func (p *pair) remains() any {
	type remains struct {
		events [2][]Event
		fresh  [2]int
		states [2][]byte
		wire   []datagram
		errors []string
	}
	var r remains
	for i, e := range []*end{p.client, p.server} {
		r.events[i], r.fresh[i] = e.events, e.fresh
		if e.sa != nil {
			r.states[i] = e.sa.Append(nil)
		}
	}
	for _, err := range p.dropped {
		r.errors = append(r.errors, err.Error())
	}
	r.wire = p.sent
	return r
}

func TestAThawedSALivesTheSameLife(t *testing.T) {
	defer func() { thaw = nil }()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			most := 0
			for seed := range uint64(16) {
				plain, thawed := way.pair(t), newPair(t)
				thawed.client.env.Policy, thawed.server.env.Policy = plain.client.env.Policy, plain.server.env.Policy
				live(plain, seed)
				count := 0
				thaw = func([]byte) { count++ }
				live(thawed, seed)
				thaw = nil
				if diff := machinetest.StateDiff(plain.remains(), thawed.remains()); diff != "" {
					t.Errorf("seed %d: thawed SAs do other things (-plain +thawed):\n%s", seed, diff)
				}
				most = max(most, count)
			}
			if most < 40 {
				t.Errorf("frozen %d times", most)
			}
		})
	}
}

func TestWhatIsNoFrozenSAIsRefused(t *testing.T) {
	p := newPairOfOneGroup(t).establish()
	s := p.server.sa
	whole := s.Append(nil)
	later := bytes.Clone(whole)
	later[0]++
	if _, err := Resume(s.env, later); !errors.Is(err, frozen.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	for n := range whole {
		if _, err := Resume(s.env, whole[:n]); !errors.Is(err, frozen.ErrMalformed) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for name, spoil := range map[string]func(*state){
		"no step":          func(st *state) { st.Step = 0 },
		"no hash":          func(st *state) { st.Peer.Suite.Hash = 0 },
		"an unknown group": func(st *state) { st.Peer.Suite.Group = 1 },
		"no cipher":        func(st *state) { st.Peer.Suite.Cipher = 0 },
		"a key of 7 bits":  func(st *state) { st.Peer.Suite.KeyBits = 7 },
		"no exchange":      func(st *state) { st.Step = stepWait5 },
		"no IV":            func(st *state) { st.Step, st.IV = stepWait6, nil },
		"no IV of a Quick Mode": func(st *state) {
			st.Quick = []*quick{{Step: quickWait3}}
		},
	} {
		copied, err := Resume(s.env, whole)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&copied.st)
		if _, err := Resume(s.env, copied.Append(nil)); !errors.Is(err, frozen.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The policy may have changed in the meantime: Resume checks that it still has
// what a phase 1 needs.
func TestAPhase1ThatThePolicyCannotCompleteIsNotThawed(t *testing.T) {
	p := newPairOfOneGroup(t)
	n := 0
	p.tamper = func(d datagram) []datagram {
		if n++; n > 3 {
			return nil
		}
		return []datagram{d}
	}
	p.initiate()
	env := p.server.env
	policy := *env.Policy
	policy.PSKs = nil
	env.Policy = &policy
	if _, err := Resume(env, p.server.sa.Append(nil)); err == nil || !strings.Contains(err.Error(), "pre-shared key, and the policy has none") {
		t.Errorf("%v", err)
	}
}

// A pending event is not lost without notice.
func TestWhatIsNotDrainedIsNotFrozen(t *testing.T) {
	l := Initiate(newEnd("client", 1).env, newPair(t).path, epoch)
	defer func() {
		if recover() == nil {
			t.Error("its first message waits, and it was frozen")
		}
	}()
	l.Append(nil)
}

// An SA that Resume makes from arbitrary bytes never panics, and freezing it again
// yields the same bytes.
func FuzzResume(f *testing.F) {
	defer func() { thaw = nil }()
	n := 0
	for _, way := range ways[:2] {
		thaw = func(state []byte) {
			if n++; n%15 == 1 {
				f.Add(state, []byte("\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08\x08\x10\x05\x01\x00\x00\x00\x07\x00\x00\x00\x2c0123456789abcdef"))
			}
		}
		live(way.pair(f), 2)
	}
	thaw = nil
	messages := machinetest.Seeds(f, "ike")
	f.Fuzz(func(t *testing.T, state, message []byte) {
		e := newEnd("fuzz", 1)
		e.env.Policy.Aggressive = true
		s, err := Resume(e.env, state)
		if err != nil {
			return
		}
		if again := s.Append(nil); !bytes.Equal(again, state) {
			t.Fatalf("frozen again it is\n%x, not\n%x", again, state)
		}
		now := epoch
		path := newPair(t).path
		for _, b := range append([][]byte{message}, messages[:6]...) {
			if b = bytes.Clone(b); len(b) >= 16 {
				copy(b, s.st.Peer.Cookies.Initiator[:])
				copy(b[8:], s.st.Peer.Cookies.Responder[:])
			}
			s.Effort(b)
			_ = s.HandlePacket(now, path, b)
			now = now.Add(2 * time.Second)
			s.HandleTimer(now)
			s.Deadline()
			drain(s)
			s.Append(nil)
		}
		s.Probe(now, 0)
		_ = s.Negotiate(now, ChildRequest{})
		s.DeleteChildren(now, []uint32{1})
		s.Close(now, ReasonLocal)
		drain(s)
	})
}
