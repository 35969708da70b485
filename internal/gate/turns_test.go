package gate

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// costs is what one computation in each lane takes.
var costs = [lanes]time.Duration{Users: 400 * time.Microsecond, Cheap: 400 * time.Microsecond, Dear: 5 * time.Millisecond}

// hall is a machine with one token for strangers and a simulated clock.
type hall struct {
	turns turns
	now   time.Time
}

func newHall() *hall { return &hall{turns: newTurns(1), now: time.Unix(1e9, 0)} }

// serve runs computations, one after another, until done, and returns how long they took.
func (h *hall) serve(t *testing.T, done func(*errand) bool, failed bool) time.Duration {
	t.Helper()
	began := h.now
	for range 100000 {
		e := h.turns.next(h.now)
		if e == nil {
			t.Fatal("nobody computes, and somebody waits")
		}
		h.now = h.now.Add(costs[e.lane])
		last := done(e)
		h.turns.done(h.now, e, costs[e.lane], failed && !last)
		if last {
			return h.now.Sub(began)
		}
	}
	t.Fatal("the newcomer's turn never came")
	return 0
}

// Whatever networks flood the gate, and whatever group the flood uses, a newcomer waits
// for little more than the computation that is running. This holds for one from elsewhere
// and for one that shares the flood's widest prefix.
func TestANewcomerIsNextWhateverTheFlood(t *testing.T) {
	floods := map[string]func(i int) netip.Addr{
		"one address":      func(int) netip.Addr { return netip.MustParseAddr("198.51.100.7") },
		"64 addresses":     func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 64)}) },
		"64 far addresses": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, byte(i % 64), 100, 1}) },
		"4096 addresses":   func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8 & 15), byte(i)}) },
		"a /56 of /64":     func(i int) netip.Addr { return net64(0, 0, i%256) },
		"a /48 of /64":     func(i int) netip.Addr { return net64(0, i/256%256, i%256) },
		"16 /48, halves":   func(i int) netip.Addr { return net64(i%16, i/16%128, i%256) },
	}
	newcomers := map[string]netip.Addr{
		"elsewhere":         netip.MustParseAddr("192.0.2.9"),
		"elsewhere in IPv6": netip.MustParseAddr("2001:db9::1"),
		"beside it":         netip.MustParseAddr("198.51.100.200"),
		"in its /48":        netip.MustParseAddr("2001:db8:0:ff77::1"),
	}
	for flood, address := range floods {
		for who, newcomer := range newcomers {
			for _, dear := range []Lane{Cheap, Dear} {
				t.Run(fmt.Sprintf("%s, %s, lane %d", flood, who, dear), func(t *testing.T) {
					h := newHall()
					for i := range 8192 { // the flood so far
						h.turns.accounts.charge(h.now, h.turns.accounts.of(dear, address(i)), failure*costs[dear].Seconds())
					}
					for i := range 1000 {
						h.turns.add(h.now, dear, address(i), i%2 == 0)
					}
					running := h.turns.next(h.now)
					for half := range 2 { // message 3, and message 5
						mine := h.turns.add(h.now, Cheap, newcomer, half == 1)
						if running != nil {
							h.now = h.now.Add(costs[dear])
							h.turns.done(h.now, running, costs[dear], true)
							running = nil
						}
						// As many turns as there are competing networks, if it shares a
						// prefix.
						most := 64*costs[Cheap] + 2*costs[Dear] + time.Millisecond
						if took := h.serve(t, func(e *errand) bool { return e == mine }, true); took > most {
							t.Errorf("half %d waited for %v", half, took)
						}
					}
				})
			}
		}
	}
}

func net64(site, home, network int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(site >> 8), byte(site), byte(home), byte(network), 15: 1})
}

// While cheap computations always wait, dear ones get a third of the time, no less, and
// cheap ones two thirds.
func TestDearGroupsHaveAThirdOfTheTime(t *testing.T) {
	h := newHall()
	var used [lanes]time.Duration
	a := netip.MustParseAddr("192.0.2.1")
	for range 10 {
		h.turns.add(h.now, Cheap, a, false)
		h.turns.add(h.now, Dear, a, false)
	}
	began := h.now
	h.serve(t, func(e *errand) bool {
		used[e.lane] += costs[e.lane]
		h.turns.add(h.now, e.lane, a, false)
		return h.now.Sub(began) > 3*time.Second
	}, false)
	if share := used[Dear].Seconds() / h.now.Sub(began).Seconds(); share < 0.3 || share > 0.36 {
		t.Errorf("dear groups had %.2f of the time", share)
	}
}

// A lane that was idle for long has no credit and no debt.
func TestAnIdleLaneSavesNothingUp(t *testing.T) {
	for _, alone := range []Lane{Cheap, Dear} {
		h := newHall()
		a := netip.MustParseAddr("192.0.2.1")
		for range 1000 {
			e := h.turns.add(h.now, alone, a, false)
			h.serve(t, func(f *errand) bool { return f == e }, false)
		}
		var used [lanes]int
		for range 300 {
			h.turns.add(h.now, Cheap, a, false)
			h.turns.add(h.now, Dear, a, false)
		}
		for range 100 {
			e := h.turns.next(h.now)
			used[e.lane]++
			h.turns.done(h.now, e, costs[e.lane], false)
		}
		if used[Dear] == 0 || used[Dear] > 10 {
			t.Errorf("after %d alone %d of 100 were dear", alone, used[Dear])
		}
	}
}

// If there are several tokens, dear computations never hold all of them.
func TestDearGroupsLeaveATokenFree(t *testing.T) {
	for tokens := 2; tokens < 9; tokens++ {
		turns := newTurns(tokens)
		now := time.Unix(1e9, 0)
		for i := range 100 {
			turns.add(now, Dear, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), false)
		}
		n := 0
		for turns.next(now) != nil {
			n++
		}
		if n != tokens-1 {
			t.Errorf("%d of %d tokens are taken", n, tokens)
		}
		cheap := turns.add(now, Cheap, netip.MustParseAddr("192.0.2.1"), false)
		if turns.next(now) != cheap {
			t.Error("a cheap computation waits for dear ones")
		}
	}
}

// However many strangers compute, a peer that has a user waits for nobody else.
func TestUsersHaveATokenOfTheirOwn(t *testing.T) {
	for _, l := range []Lane{Cheap, Dear} {
		turns := newTurns(1)
		now := time.Unix(1e9, 0)
		for range 100 {
			turns.add(now, l, netip.MustParseAddr("198.51.100.1"), false)
		}
		for turns.next(now) != nil { //nolint:revive // start all that may begin
		}
		user := turns.add(now, Users, netip.MustParseAddr("198.51.100.1"), false)
		if turns.next(now) != user {
			t.Error("a user waits for strangers")
		}
	}
}

// A computation for which nobody waits any more is dropped.
func TestWhatHasWaitedTooLongIsDropped(t *testing.T) {
	turns := newTurns(1)
	now := time.Unix(1e9, 0)
	for i := range 10 {
		turns.add(now.Add(time.Duration(i)*5*time.Second), Lane(i)%lanes, netip.MustParseAddr("198.51.100.1"), false)
	}
	at := now.Add(45 * time.Second)
	if n := len(turns.stale(at)); n != 5 {
		t.Errorf("%d are stale, want 5", n)
	}
	for e := turns.next(at); e != nil; e = turns.next(at) {
		if at.Sub(e.since) > patience {
			t.Errorf("one that had waited %v began", at.Sub(e.since))
		}
		turns.done(at, e, time.Millisecond, false)
	}
}

// A peer that proved nothing with a computation comes after one that did.
func TestWhatFailsWeighsMore(t *testing.T) {
	h := newHall()
	bad, good := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")
	for i, a := range []netip.Addr{good, good, bad} {
		e := h.turns.add(h.now, Cheap, a, false)
		h.turns.next(h.now)
		h.turns.done(h.now, e, time.Millisecond, i == 2)
	}
	h.turns.add(h.now, Cheap, bad, false)
	e := h.turns.add(h.now, Cheap, good, false)
	if h.turns.next(h.now) != e {
		t.Error("who failed was first")
	}
}

// The table is bounded, and its entries fade, even over months.
func TestAccountsAreBoundedAndFade(t *testing.T) {
	var a accounts
	now := time.Unix(1e9, 0)
	for i := range 3 * maxAccounts {
		a.charge(now, a.of(Cheap, net64(i%65536, i/65536, 0)), 1)
	}
	if len(a.table) != maxAccounts || a.order.Len() != maxAccounts {
		t.Errorf("%d accounts, %d in order, want %d", len(a.table), a.order.Len(), maxAccounts)
	}
	who := netip.MustParseAddr("192.0.2.1")
	for _, after := range []time.Duration{time.Minute, time.Hour, 3 * time.Hour, 100 * 24 * time.Hour} {
		then := now.Add(after)
		a.charge(now, a.of(Cheap, who), 1)
		was := a.of(Cheap, who)[1].spent / a.unit(now)
		is := a.of(Cheap, who)[1].spent / a.unit(then)
		if is > was/2*1.01 || is < 0 {
			t.Errorf("after %v %g is left of %g", after, is, was)
		}
		now = then
	}
}

// Every group has a lane.
func TestLanes(t *testing.T) {
	for g, want := range map[ike.Group]Lane{
		0: Cheap, ike.GroupMODP1024: Cheap, ike.GroupMODP2048: Cheap, ike.GroupECP256: Cheap,
		ike.GroupECP384: Cheap, ike.GroupCurve25519: Cheap,
		ike.GroupECP521: Dear, ike.GroupMODP3072: Dear, ike.GroupMODP4096: Dear,
	} {
		if got := LaneOf(false, g); got != want {
			t.Errorf("%v: lane %d, want %d", g, got, want)
		}
		if LaneOf(true, g) != Users {
			t.Errorf("%v: users do not have their own lane", g)
		}
	}
}
