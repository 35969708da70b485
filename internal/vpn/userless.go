package vpn

import (
	"time"

	"github.com/adit-vpn/adit/internal/machine"
)

// A peer that has only proved the key has twice the setup time to bring a user: once to
// get as far as ESP, once to log in. Nothing that it does meanwhile, such as a StopCCN, a
// new tunnel or new keys, extends that time: otherwise it could keep its place for ever.
//
// The time in which we wait for our own backend does not count, up to that of one question in
// all: a user may have to look for a telephone.

// userless is the time limit for a connection without a user.
type userless struct {
	setup  time.Time     // when a user must be authenticated; zero: one is
	last   time.Time     // bounds setup, and everything else without a user; zero: there is one
	step   step          // how far the peer has come
	served bool          // it has or had a user
	lent   time.Duration // of last: for questions to the backend
	round  int           // counts how often last began anew
}

// miss records that there is no user: from now on the time to bring one runs.
func (c *Conn) miss(now time.Time) {
	if c.last.IsZero() && c.caller == nil {
		c.last, c.lent = now.Add(2*c.policy.SetupTimeout), 0
		c.round++
		c.lastAt.Store(c.last.UnixNano())
	}
}

// leavesTime reports whether a client whose phase 1 joins this connection has enough time
// to bring a user. If less than half of the time is left, the client is better off with a
// connection of its own, and with time of its own. So a client that comes back is not
// ended because of what was at its endpoint before. It may be called from any goroutine.
func (c *Conn) leavesTime(now time.Time) bool {
	last := c.lastAt.Load()
	return last == 0 || last-now.UnixNano() >= int64(c.policy.SetupTimeout)
}

// hurry gives the peer the time of one step to bring a user, within the total time that
// it has.
func (c *Conn) hurry(now time.Time) {
	c.setup = machine.Earliest(now.Add(c.policy.SetupTimeout), c.last)
}

// answerTime is what is left, after the longest question, to say how it ended.
const answerTime = 5 * time.Second

// lend gives the peer the time that a question to the backend may take. The returned
// function takes back what the question did not need.
func (c *Conn) lend(now time.Time, most time.Duration) (answered func(now time.Time)) {
	if c.last.IsZero() || c.setup.IsZero() {
		return func(time.Time) {}
	}
	extra := max(0, min(most, c.policy.AuthTimeout-c.lent))
	began, round := now, c.round
	c.stretch(extra)
	c.setup = machine.Earliest(later(c.setup, now.Add(most+answerTime)), c.last)
	return func(now time.Time) {
		if c.last.IsZero() || c.round != round {
			return
		}
		c.stretch(min(0, now.Sub(began)-extra))
		c.hurry(now)
	}
}

// stretch changes the time that the peer has in all.
func (c *Conn) stretch(by time.Duration) {
	c.last, c.lent = c.last.Add(by), c.lent+by
	c.lastAt.Store(c.last.UnixNano())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// welcome records that the user is there. This remains known after the session has ended,
// until the connection ends.
func (c *Conn) welcome() {
	c.setup, c.last, c.served = time.Time{}, time.Time{}, true
	c.lastAt.Store(0)
	c.srv.arrive(c)
	if k := c.kids.sending; k != nil {
		c.srv.learn(k.LocalID)
	}
}
