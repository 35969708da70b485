package auth

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxWaiting bounds the attempts that wait, of everybody, and maxOfSource those of one source,
// or of one name that has been right there.
const (
	maxWaiting  = 1024
	maxOfSource = 64
)

// errGuessing says that an attempt was not made.
var errGuessing = errors.New("too many wrong passwords have come from the client's network, and more wait: nothing was asked; the user may try again")

// errTooOften says the same about a user who authenticates again and again.
var errTooOften = errors.New("the user's connections authenticate again and again, and more attempts wait: nothing was asked")

// errBehind says that an attempt has waited for answers to others in vain.
var errBehind = errors.New("attempts of the same user, or from the client's network, were wrong or wait for the authentication backend, and more wait than can be made: nothing was asked; the user may try again")

// Guard slows guessing, and authenticating again, down before a backend is asked. See backoff.
type Guard struct {
	// Exempt reports whether guesses from an address are neither slowed down nor counted. Nil: none
	// is. It is set before the guard is used.
	Exempt func(netip.Addr) bool

	backend Backend

	mu      sync.Mutex
	backoff backoff
	refused [queues]uint64
	waiting int
	crowds  map[pair]int // those that wait for their time, by source
	behind  []*follower  // those that wait for answers to others, in order
}

// follower is an attempt that waits for answers to others.
type follower struct {
	of    pair
	ready chan struct{} // closed once there is room: turn says what for
	turn  turn
}

// turn is when an attempt may be made, or why it is not.
type turn struct {
	place
	of    pair
	crowd pair // in which it waits
	free  bool // its source is exempt
	err   error
	by    Queue // has no place for it
}

// NewGuard returns a backend that slows the guessing of passwords down.
func NewGuard(b Backend) *Guard { return &Guard{backend: b, crowds: map[pair]int{}} }

// Authenticate implements Backend.
func (g *Guard) Authenticate(ctx context.Context, r *Request) (Response, error) {
	p := pairOf(r.User, r.Call.Remote.Addr())
	if r.Call.Before > 0 {
		if err := g.again(ctx, p, r); err != nil {
			return Response{}, err
		}
	}
	t := turn{of: p, free: g.Exempt != nil && g.Exempt(r.Call.Remote.Addr())}
	if !t.free {
		t = g.follow(ctx, p)
	}
	if err := g.wait(ctx, &t, true); err != nil {
		return Response{}, err
	}
	answer, err := Response{}, errNoAnswer
	defer func() { // also if the backend panics
		if err != nil || answer.Verdict != Asked {
			g.answered(ctx, r, &t, answer, err)
		}
	}()
	answer, err = g.backend.Authenticate(ctx, r)
	if err == nil && answer.Verdict == Asked {
		answer.Next = g.goOn(r, &t, answer.Next)
	}
	return answer, err
}

// errNoAnswer stands for an answer that there is not, yet or ever.
var errNoAnswer = errors.New("no answer")

// answered takes over what the backend said, and lets those through who waited for that. A
// client that has gone meanwhile may have been wrong, too: otherwise who never waits for
// answers could guess as fast as they like.
func (g *Guard) answered(ctx context.Context, r *Request, t *turn, answer Response, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch now := time.Now(); {
	case err == nil && answer.Verdict == Accepted:
		g.ended(now, r, t, true)
	case err == nil, errors.Is(ctx.Err(), context.Canceled):
		g.ended(now, r, t, false)
	default:
		t.end()
		g.letThrough(now)
	}
}

// ended counts an attempt that was right or wrong. g.mu is locked.
func (g *Guard) ended(now time.Time, r *Request, t *turn, right bool) {
	t.end()
	if right {
		t.leave()
		g.backoff.succeeded(now, t.of)
		if r.Call.Before > 0 {
			g.backoff.succeededAgain(now, r.User)
		}
	} else if !t.free {
		g.backoff.failed(now, t.of)
	}
	g.letThrough(now)
}

// letThrough lets those make their attempt who have waited for an answer, as far as there is
// room now. g.mu is locked.
func (g *Guard) letThrough(now time.Time) {
	g.behind = slices.DeleteFunc(g.behind, func(f *follower) bool {
		if !g.backoff.room(now, f.of) {
			return false
		}
		f.turn = g.takeBehind(now, f.of, false)
		if f.turn.err != nil {
			return false // there may be a place later
		}
		close(f.ready)
		return true
	})
}

// follow lets an attempt wait for answers to others, if too many are under way, and takes its
// turn.
func (g *Guard) follow(ctx context.Context, p pair) turn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.backoff.room(now, p) {
		at, ok := g.backoff.wait(now, p)
		return g.take(now, p, at, ok)
	}
	if len(g.behind) >= maxWaiting {
		return turn{by: InSum, err: errBehind}
	}
	f := &follower{of: p, ready: make(chan struct{})}
	g.behind = append(g.behind, f)
	g.mu.Unlock()
	longest := time.NewTimer(longestWait)
	defer longest.Stop()
	select {
	case <-f.ready:
	case <-longest.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.behind, f)
	if i < 0 {
		return f.turn
	}
	g.behind = slices.Delete(g.behind, i, i+1)
	if err := ctx.Err(); err != nil {
		return turn{err: err}
	}
	return g.takeBehind(time.Now(), p, true)
}

// takeBehind takes the turn of an attempt that has waited for answers: not at the end of a
// queue that is full, where all the others that have waited would go, too. g.mu is locked.
func (g *Guard) takeBehind(now time.Time, p pair, late bool) turn {
	at, ok := g.backoff.waitFor(now, p, late)
	if ok && at.full != NoQueue {
		at.leave()
		ok = false
	}
	t := g.take(now, p, at, ok)
	if t.err != nil {
		t.err = errBehind
	}
	return t
}

// take takes the turn of an attempt: at once, or at a time. g.mu is locked.
func (g *Guard) take(now time.Time, p pair, at place, ok bool) turn {
	t := g.reserve(p, at, ok)
	if t.err == nil && t.wait == 0 {
		t.begin(now, &g.backoff, p)
	}
	return t
}

// reserve takes a place among those that wait for their time, if there is one. Who need not
// wait always has one: others can fill the queues. g.mu is locked.
func (g *Guard) reserve(p pair, at place, ok bool) turn {
	t := turn{place: at, of: p, crowd: p}
	crowd := OfUser
	if g.backoff.right[p] == nil {
		t.crowd.name = "" // of all names of that source
		crowd = OfSource
	}
	switch {
	case !ok:
		t.by, t.err = at.full, errGuessing
	case at.wait > 0 && g.waiting >= maxWaiting:
		at.leave()
		t.by, t.err = InSum, errGuessing
	case at.wait > 0 && g.crowds[t.crowd] >= maxOfSource:
		at.leave()
		t.by, t.err = crowd, errGuessing
	case at.wait > 0:
		g.waiting++
		g.crowds[t.crowd]++
	}
	return t
}

// again lets an attempt wait of a connection that has made one before.
func (g *Guard) again(ctx context.Context, p pair, r *Request) error {
	g.mu.Lock()
	at, ok := g.backoff.waitAgain(time.Now(), r.Call.Port, r.User)
	t := g.reserve(p, at, ok)
	g.mu.Unlock()
	if t.err != nil {
		t.by, t.err = OfAgain, errTooOften
	}
	return g.wait(ctx, &t, false)
}

// wait lets an attempt wait for its time, after which it begins, or is only the next step.
func (g *Guard) wait(ctx context.Context, t *turn, begin bool) error {
	if t.err != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.refused[t.by]++
	}
	if t.err != nil || t.wait == 0 {
		return t.err
	}
	timer := time.NewTimer(t.wait)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.crowds[t.crowd]--; g.crowds[t.crowd] == 0 {
		delete(g.crowds, t.crowd)
	}
	switch {
	case err != nil:
		t.leave()
	case begin:
		t.begin(time.Now(), &g.backoff, t.of)
	}
	return err
}
