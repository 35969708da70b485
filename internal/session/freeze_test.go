package session

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/machine/frozen"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

// A new field of the state must be frozen, too, and raise the version. The link's version
// is separate.
func TestEveryFieldIsFrozen(t *testing.T) {
	r := newRig(t, dual)
	told := auth.Settings{DNS: r.policy.Settings.DNS, Domain: "corp.example", Split: only("10.0.0.0/8"), OwnDevice: true}
	machinetest.Fill(t, &r.s.st, told)
	r.s.link.Start(r.now)
	for _, ok := r.s.link.NextEvent(); ok; _, ok = r.s.link.NextEvent() {
	}
	state := r.s.Append(nil)
	got, err := Resume(r.env(), state)
	if err != nil {
		t.Fatal(err)
	}
	if diff := machinetest.StateDiff(r.s.st, got.st); diff != "" {
		t.Errorf("what was thawed differs (-want +got):\n%s", diff)
	}
	link := r.s.link.Append(nil)
	if !bytes.Equal(got.link.Append(nil), link) {
		t.Error("its link is in another state")
	}
	own, ok := bytes.CutSuffix(state, link)
	if !ok {
		t.Fatal("the link's state is not the last of the session's")
	}
	machinetest.FrozenForm(t, fmt.Sprint(frozenVersion), own)
}

// Every test of a session gives the same result when the session is frozen and thawed
// each time its events have been drained.
func TestFrozenAndThawedAtEveryStep(t *testing.T) {
	n := 0
	thaw = func([]byte) { n++ }
	defer func() { thaw = nil }()
	for name, test := range map[string]func(*testing.T){
		"comes up": TestALinkComesUpWithItsUser, "refused": TestWhoIsRefusedHasNothing, "blocked": TestWhoIsBlockedComesInWhenThereIsRoom,
		"tickets": TestOnlyTheLastTicketCounts, "timeouts": TestASessionEndsWhenItsTimeIsOver, "ended": TestASessionCanBeEndedAtAnyTime,
		"proves": TestAClientProvesThatItHears, "challenge": TestOnlyTheUserOfASessionPassesItsChallenge,
		"accounting": TestAccountingCountsWhatOneSessionCarried, "another user": TestAnotherUserOnTheSameLinkIsAnotherSession,
		"IPv6": TestIPv6LeadsToTheSessionAndIsAdvertised, "solicitation": TestARouterSolicitationIsAnswered,
		"again": TestASessionGoesOnWhenItsUserAuthenticatesAgain, "quota": TestASessionEndsWhenItsQuotaIsUsedUp, "garden": TestAWalledGarden, "no IPv6": TestNoIPv6IsLeftAndTheSessionComesUp, "DHCPINFORM": TestDHCPINFORMIsAnsweredOnceTheNetworkIsUp,
	} {
		before := n
		if t.Run(name, test); n == before {
			t.Errorf("%s: no session was thawed", name)
		}
	}
}

// life runs a session on a bad line with a slow backend, as a seed determines, and
// returns its final state.
func life(t testing.TB, seed byte) (r *rig, state []byte) {
	random := rand.New(machinetest.Rand(seed))
	r = newRig(t, func(r *rig) {
		if seed%2 == 0 {
			dual(r)
		}
		if r.policy.SessionsPerUser = 1; seed%3 == 0 {
			r.book.users[user] = 1
			r.blocked = func() { delete(r.book.users, user) }
		}
		r.policy.InterimInterval = 90 * time.Second
		r.grant = auth.Grant{
			Group: "staff", Routes: only("192.168.7.0/24"), Settings: auth.Settings{Domain: "corp.example", Split: only("10.9.0.0/16")},
			SessionTimeout: 20 * time.Minute, IdleTimeout: 8 * time.Minute, MTU: 1300, Class: [][]byte{[]byte("gold"), {}},
		}
		r.slow = 1500 * time.Millisecond
	})
	r.start()
	r.lost = func() bool { return random.Float64() < 0.1 }
	busy := func(d time.Duration) {
		for end := r.now.Add(d); r.now.Before(end); r.pass(10 * time.Second) {
			r.traffic.InPackets += uint64(random.IntN(3))
			r.traffic.OutOctets += uint64(random.IntN(1000))
		}
	}
	busy(time.Minute)
	r.s.Prove(r.now)
	busy(10 * time.Second)
	b, _ := r.solicitation()
	for _, b := range [][]byte{b, inform(t, r.s.Info().Address)} {
		if err := r.s.HandleIP(b); err != nil {
			t.Fatal(err)
		}
		r.settle()
	}
	busy(3 * time.Minute)
	if seed%4 == 1 { // the client authenticates again, as another user
		r.cfg.User, r.cfg.Password = "bob", secret.String("builder")
		again := []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad, 0, 4} // Configure-Request without options
		_ = r.client.HandlePacket(r.now, again)
		_ = r.s.HandleFrame(r.now, again)
		r.settle()
		busy(time.Minute)
	}
	r.deaf = true
	busy(45 * time.Second)
	r.s.HandleData(r.now)
	r.deaf = false
	busy(5 * time.Minute)
	switch seed % 5 {
	case 0: // until Idle-Timeout is over
	case 1:
		busy(20 * time.Minute)
	default:
		r.s.Close(r.now, ppp.ReasonAdmin)
		r.settle()
	}
	r.pass(10 * time.Minute)
	r.end()
	r.settle()
	return r, r.s.Append(nil)
}

func TestAThawedSessionLivesTheSameLife(t *testing.T) {
	defer func() { thaw = nil }()
	seen := map[string]int{}
	for seed := range byte(24) {
		thaw = nil
		plain, state := life(t, seed)
		n := 0
		thaw = func([]byte) { n++ }
		thawed, state2 := life(t, seed)
		if n < 20 || !plain.now.Equal(thawed.now) {
			t.Errorf("seed %d: frozen %d times; it ended at %v, and thawed at %v", seed, n, plain.now, thawed.now)
		}
		for what, pair := range map[string][2]any{
			"does other things": {plain.events, thawed.events}, "sends other packets": {plain.ip, thawed.ip},
			"says other things to its link's peer": {plain.heard, thawed.heard},
		} {
			if diff := machinetest.StateDiff(pair[0], pair[1]); diff != "" {
				t.Errorf("seed %d: a thawed session %s (-plain +thawed):\n%s", seed, what, diff)
			}
		}
		if !bytes.Equal(state, state2) {
			t.Errorf("seed %d: it is in another state", seed)
		}
		thawed.isFree()
		for _, e := range thawed.events {
			seen[strings.TrimPrefix(fmt.Sprintf("%T", e), "session.")]++
		}
	}
	for _, kind := range strings.Fields("Ask Blocked Leased Judged Route Account Up Changed Down Restarted Released Proved Note Ended") {
		if seen[kind] == 0 {
			t.Errorf("no life has an event %s", kind)
		}
	}
}

// The state says what a session holds. Another process can make its pools and its
// registry hold the same before it resumes the session. Resume itself takes nothing.
func TestWhatAThawedSessionHoldsIsInItsState(t *testing.T) {
	r := newRig(t, dual, func(r *rig) { r.grant.Routes = only("192.168.7.0/24") }).start()
	other := newRig(t, dual)
	got, err := Resume(other.env(), r.s.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	other.isFree()
	other.book.Enter(got.st.grant.User, 0)
	if err := other.book.Hold(got.st.grant.User, got.st.holds); err != nil {
		t.Fatal(err)
	}
	if _, err := other.four.Lease(user, got.st.address); err != nil {
		t.Fatal(err)
	}
	for _, l := range got.st.six.leases {
		if _, err := got.pool6(l.delegated).LeaseOf("", user, l.addr); err != nil {
			t.Fatal(err)
		}
	}
	if diff := machinetest.StateDiff(r.book, other.book); diff != "" {
		t.Errorf("the registries differ (-old +new):\n%s", diff)
	}
	if a, b := [3]int{r.four.InUse(), r.links.InUse(), r.routers.InUse()}, [3]int{other.four.InUse(), other.links.InUse(), other.routers.InUse()}; a != b || a != [3]int{1, 1, 1} {
		t.Errorf("leased are %v, and anew %v", a, b)
	}
	other.s = got
	other.end()
	other.isFree()
}

func TestWhatIsNoFrozenSessionIsRefused(t *testing.T) {
	r := newRig(t, dual).start()
	whole := r.s.Append(nil)
	later := bytes.Clone(whole)
	later[0]++
	if _, err := Resume(r.env(), later); !errors.Is(err, frozen.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	link := r.s.link.Append(nil)
	later = bytes.Clone(whole)
	later[len(whole)-len(link)]++
	if _, err := Resume(r.env(), later); !errors.Is(err, frozen.ErrVersion) {
		t.Errorf("another version of the link: %v", err)
	}
	for n := range whole {
		if _, err := Resume(r.env(), whole[:n]); !errors.Is(err, frozen.ErrMalformed) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for name, spoil := range map[string]func(*state){
		"a domain of nowhere": func(s *state) { s.grant.Domain = "corp example" },
		"IPv6 without any":    func(s *state) { s.six.on = false },
	} {
		broken := *r.s
		spoil(&broken.st)
		if _, err := Resume(r.env(), broken.Append(nil)); !errors.Is(err, frozen.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.policy.IPv6 = nil
	if _, err := Resume(r.env(), whole); err == nil || err.Error() != "session: the frozen session has IPv6, and the policy has none" {
		t.Errorf("without IPv6: %v", err)
	}
}

// Append panics rather than lose a pending event.
func TestWhatIsNotDrainedIsNotFrozen(t *testing.T) {
	r := newRig(t)
	r.s.Start(r.now)
	defer func() {
		if recover() == nil {
			t.Error("its first frame waits, and it was frozen")
		}
	}()
	r.s.Append(nil)
}

// A session resumed from arbitrary bytes never panics, and freezes to the same state
// again.
func FuzzResume(f *testing.F) {
	defer func() { thaw = nil }()
	up := newRig(f, dual).start()
	ask := inform(f, addr("10.83.0.2"))
	solicitation, _ := up.solicitation()
	n := 0
	thaw = func(state []byte) {
		if n++; n%29 == 1 {
			f.Add(state, n%2 == 1, []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad, 0, 4}, solicitation)
			f.Add(state, false, []byte{0xff, 0x03, 0x80, 0x57, 1, 1, 0, 14, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8}, ask)
		}
	}
	life(f, 0)
	life(f, 9)
	thaw = nil
	frames := machinetest.Seeds(f, "ppp")
	f.Fuzz(func(t *testing.T, state []byte, client bool, frame, ip []byte) {
		r := newRig(t, dual)
		env := r.env()
		if client {
			env.PPP = r.cfg
		}
		s, err := Resume(env, state)
		if err != nil {
			return
		}
		if again := s.Append(nil); !bytes.Equal(again, state) {
			t.Fatalf("frozen again it is\n%x, not\n%x", again, state)
		}
		freeze := func() {
			for _, ok := s.NextEvent(); ok; _, ok = s.NextEvent() {
			}
			s.Append(nil)
		}
		if s.st.asked != nil {
			s.Retry(r.now, s.st.asked.ticket)
			freeze()
		}
		for _, b := range append([][]byte{frame}, frames[:8]...) {
			_ = s.HandleFrame(r.now, bytes.Clone(b))
			r.now = r.now.Add(2 * time.Second)
			s.HandleTimer(r.now)
			s.Deadline()
			if len(ip) > 0 && !client {
				_ = s.HandleIP(bytes.Clone(ip))
			}
			freeze()
		}
		if s.st.asked != nil {
			s.Verdict(r.now, s.st.asked.ticket, Bound{}, auth.Response{Verdict: auth.Accepted}, nil)
			freeze()
		}
		s.HandleData(r.now)
		s.Prove(r.now)
		s.Info()
		s.Close(r.now, ppp.ReasonAdmin)
		s.End(r.now, auth.LostCarrier, 0)
		freeze()
		s.Release()
		freeze()
	})
}
