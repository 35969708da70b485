package gate

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// Lane is a queue of computations that cost alike and are for peers of the same kind.
type Lane uint8

// The lanes.
const (
	Users Lane = iota // of peers that have a user
	Cheap             // of strangers
	Dear              // of strangers, in groups that take many times as long
	lanes
)

// LaneOf is the lane of a computation in this group, for a peer that is known to have a
// user, or not.
func LaneOf(known bool, g ike.Group) Lane {
	switch {
	case known:
		return Users
	case g.Dear():
		return Dear
	}
	return Cheap
}

// usual is what a computation in each lane takes, in seconds, until that has been
// measured.
var usual = [lanes]float64{Users: 0.5e-3, Cheap: 0.5e-3, Dear: 4e-3}

// weights is how much a second counts on the clock of each strangers' lane: while
// computations wait in both, the dear ones get a third of the time.
var weights = [lanes]float64{Cheap: 1, Dear: 2}

const (
	// patience is the longest that a message waits: by then clients have given up or
	// repeat the message.
	patience = 20 * time.Second
	// failure is the factor by which a computation counts more if the peer proved nothing
	// with it.
	failure = 4
)

// turns decides whose computation is next: it is a fair queue by processor time.
// Strangers are grouped by where they come from. The next is the one that has used the
// least, compared by the widest prefix first and by narrower prefixes among those that
// share it. So a network with many addresses is one competitor among others, and its
// members compete within it.
//
// It is plain state without goroutines, locks or clocks: Gate provides these.
type turns struct {
	tokens   int  // the tokens for strangers
	taken    int  // how many of them are in use
	reserved bool // the token that only users get is in use
	waiting  [lanes][]*errand
	running  [lanes]int
	clock    [lanes]float64 // virtual time of the strangers' lanes
	typical  [lanes]float64 // the typical cost of a computation in each lane, seconds
	accounts accounts
}

// errand is one computation.
type errand struct {
	lane     Lane
	finishes bool // its handshake has had a computation before, and should be finished
	since    time.Time
	accounts [3]*account
	estimate float64 // charged when it began, seconds
	reserved bool    // it holds the token that only users get
}

func newTurns(tokens int) turns {
	return turns{tokens: max(1, tokens), typical: usual}
}

// add queues a computation.
func (t *turns) add(now time.Time, l Lane, from netip.Addr, finishes bool) *errand {
	if len(t.waiting[l]) == 0 && t.running[l] == 0 {
		// A lane that was idle has no credit.
		t.clock[l] = max(t.clock[l], t.clock[Cheap], t.clock[Dear])
	}
	e := &errand{lane: l, finishes: finishes, since: now, accounts: t.accounts.of(l, from)}
	t.waiting[l] = append(t.waiting[l], e)
	return e
}

// remove takes out a computation for which nobody waits any more, and reports whether it
// was still waiting.
func (t *turns) remove(e *errand) bool {
	i := slices.Index(t.waiting[e.lane], e)
	if i >= 0 {
		t.waiting[e.lane] = slices.Delete(t.waiting[e.lane], i, i+1)
	}
	return i >= 0
}

// stale takes out the computations that have waited longer than clients do.
func (t *turns) stale(now time.Time) (list []*errand) {
	for l := range t.waiting {
		// They are in the order of arrival.
		for len(t.waiting[l]) > 0 && now.Sub(t.waiting[l][0].since) > patience {
			list = append(list, t.waiting[l][0])
			t.waiting[l] = slices.Delete(t.waiting[l], 0, 1)
		}
	}
	return list
}

// next begins the computation whose turn it is; nil: none may begin now.
func (t *turns) next(now time.Time) *errand {
	l, reserved := Users, !t.reserved && len(t.waiting[Users]) > 0
	if !reserved {
		if t.taken == t.tokens {
			return nil
		}
		if l = t.choose(); l == lanes {
			return nil
		}
	}
	e := t.first(now, l)
	t.remove(e)
	e.reserved = reserved
	if reserved {
		t.reserved = true
	} else {
		t.taken++
	}
	t.running[l]++
	e.estimate = t.typical[l]
	t.clock[l] += e.estimate * weights[l]
	t.accounts.charge(now, e.accounts, e.estimate)
	return e
}

// choose is the lane that is next to get a stranger's token; lanes: none. If there are
// several tokens, all dear computations together leave one to others.
func (t *turns) choose() Lane {
	cheap := len(t.waiting[Cheap]) > 0
	dear := len(t.waiting[Dear]) > 0 && t.running[Dear] < max(1, t.tokens-1)
	switch {
	case cheap && dear && t.clock[Dear] < t.clock[Cheap], dear && !cheap:
		return Dear
	case cheap:
		return Cheap
	case len(t.waiting[Users]) > 0:
		return Users
	}
	return lanes
}

// first is the computation in a lane that is next.
func (t *turns) first(now time.Time, l Lane) *errand {
	// The cost of the first half of a handshake does not count against the second half:
	// otherwise a flood from ever new addresses would let no handshake finish.
	begun := max(2*t.typical[l], 3*usual[l]) * t.accounts.unit(now)
	return slices.MinFunc(t.waiting[l], func(a, b *errand) int {
		for i := range a.accounts {
			if d := cmp.Compare(a.spent(i, begun), b.spent(i, begun)); d != 0 {
				return d
			}
		}
		if a.finishes != b.finishes {
			if a.finishes {
				return -1
			}
			return 1
		}
		return 0 // the older one goes first
	})
}

func (e *errand) spent(level int, begun float64) float64 {
	if spent := e.accounts[level].spent; !e.finishes || spent > begun {
		return spent
	}
	return 0
}

// done ends a computation that took this much processor time.
func (t *turns) done(now time.Time, e *errand, took time.Duration, failed bool) {
	if e.reserved {
		t.reserved = false
	} else {
		t.taken--
	}
	t.running[e.lane]--
	seconds := took.Seconds()
	t.typical[e.lane] += (seconds - t.typical[e.lane]) / 16
	t.clock[e.lane] += (seconds - e.estimate) * weights[e.lane]
	if failed {
		seconds *= failure
	}
	t.accounts.charge(now, e.accounts, seconds-e.estimate)
}
