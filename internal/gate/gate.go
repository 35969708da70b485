package gate

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Why a computation is not done.
var (
	ErrEvicted = errors.New("evicted by newer handshakes")
	ErrStale   = errors.New("it waited so long for processor time that its sender has given up")
)

// Gate bounds how many goroutines spend processor time on key exchange, so that a storm
// of handshakes leaves a core to established sessions: there is a token for every core
// but one, and one more token that only peers with a user get. Whose turn it is, is
// decided by turns.
type Gate struct {
	mu    sync.Mutex
	turns turns
	ready map[*errand]chan error // of the errands that wait
	spent atomic.Int64           // processor time of peers without a user, nanoseconds
}

// New returns a gate for the cores of this machine.
func New() *Gate {
	return &Gate{turns: newTurns(runtime.GOMAXPROCS(0) - 1), ready: map[*errand]chan error{}}
}

// Enter waits for the turn of a computation for a peer at from, and returns the function
// that ends it. It returns an error if the peer has gone meanwhile, or if the wait was
// too long: then nobody waits for the result any more.
func (g *Gate) Enter(l Lane, from netip.Addr, finishes bool, gone <-chan struct{}) (leave func(failed bool), err error) {
	select {
	case <-gone:
		return nil, ErrEvicted
	default:
	}
	ready := make(chan error, 1)
	g.mu.Lock()
	e := g.turns.add(time.Now(), l, from, finishes)
	g.ready[e] = ready
	g.admit()
	g.mu.Unlock()
	select {
	case err := <-ready:
		if err != nil {
			return nil, err
		}
	case <-gone:
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.turns.remove(e) {
			delete(g.ready, e)
		} else if err := <-ready; err == nil { // its turn came at the same moment
			g.turns.done(time.Now(), e, 0, false)
			g.admit()
		}
		return nil, ErrEvicted
	}
	since := begin()
	return func(failed bool) {
		took := since.took()
		g.mu.Lock()
		defer g.mu.Unlock()
		if l != Users {
			g.spent.Add(int64(took))
		}
		g.turns.done(time.Now(), e, took, failed)
		g.admit()
	}, nil
}

// Tokens is the number of computations for strangers that may run at once.
func (g *Gate) Tokens() int { return g.turns.tokens }

// Waiting is the number of computations that wait, of users and of strangers.
func (g *Gate) Waiting() (users, strangers int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &g.turns.waiting
	return len(w[Users]), len(w[Cheap]) + len(w[Dear])
}

// Spent is how much processor time peers without a user have used so far.
func (g *Gate) Spent() time.Duration { return time.Duration(g.spent.Load()) }

// admit starts the computations whose turn it is. The caller holds the lock.
func (g *Gate) admit() {
	now := time.Now()
	for _, e := range g.turns.stale(now) {
		g.tell(e, ErrStale)
	}
	for e := g.turns.next(now); e != nil; e = g.turns.next(now) {
		g.tell(e, nil)
	}
}

func (g *Gate) tell(e *errand, err error) {
	g.ready[e] <- err
	delete(g.ready, e)
}

// beginning is when a computation began, by the clock of its thread and by the wall
// clock. By the wall clock alone, a peer would pay for everything else that the kernel
// runs meanwhile, such as an attacker's computations on a machine that is short of cores.
type beginning struct {
	thread time.Duration
	wall   time.Time
}

func begin() beginning { return beginning{threadTime(), time.Now()} }

// took is the time that the computation used. If the runtime moves it to another thread,
// which is rare, that thread's clock does not relate to the beginning; the result is then
// bounded by zero and the wall-clock time. Locking the goroutine to its thread would make
// handshakes dearer.
func (b beginning) took() time.Duration {
	return min(max(threadTime()-b.thread, 0), time.Since(b.wall))
}

func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // Linux has had this clock since 2.6
	}
	return time.Duration(t.Nano())
}
