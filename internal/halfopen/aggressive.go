package halfopen

import (
	"context"
	"errors"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/crowd"
	"github.com/adit-vpn/adit/internal/gate"
)

// A first message of Aggressive Mode costs a Diffie-Hellman exchange before its sender
// has shown that it is at its source address. So it waits for processor time at the gate,
// on a goroutine of its own, and the number of these is small. The greeter continues
// meanwhile.
const (
	aggressiveAtOnce    = 16
	aggressiveRate      = 64 // per second, from all sources together
	aggressivePerSource = 16 // per second, from one IPv4 address or IPv6 /64
)

// errPanic is the result of a computation that panicked.
var errPanic = errors.New("an error in the server")

// answered is a first message of Aggressive Mode with its answer.
type answered struct {
	key    firstKey
	first  firstMessage
	embryo ike.Embryo
	reply  []byte
	err    error
}

// computing is the greeter's record of the answers being computed.
type computing struct {
	busy    map[firstKey]bool
	results chan answered
	run     sync.WaitGroup

	left     int // answers that may still begin in this second
	sources  map[netip.Prefix]int
	refilled time.Time
}

func newComputing() *computing {
	return &computing{busy: map[firstKey]bool{}, results: make(chan answered, aggressiveAtOnce), sources: map[netip.Prefix]int{}}
}

// may reports whether an answer may begin, and counts it. A peer that is refused repeats
// its message.
func (c *computing) may(now time.Time, key firstKey) bool {
	if now.Sub(c.refilled) >= time.Second || now.Before(c.refilled) {
		c.left, c.refilled = aggressiveRate, now
		clear(c.sources)
	}
	source := crowd.SourceOf(key.path.Remote.Addr())
	if c.busy[key] || len(c.busy) == aggressiveAtOnce || c.left == 0 || c.sources[source] == aggressivePerSource {
		return false
	}
	c.left--
	c.sources[source]++
	c.busy[key] = true
	return true
}

// compute starts the computation of an answer to a first message of Aggressive Mode. The
// result comes back to the greeter.
func (g *Greeter) compute(ctx context.Context, now time.Time, m firstMessage) {
	key := keyOf(m)
	if !g.slow.may(now, key) {
		g.drop(m.path, ErrBusy)
		return
	}
	g.slow.run.Go(func() {
		result := answered{key: key, first: m}
		defer func() {
			if v := recover(); v != nil {
				g.cfg.Observer.Panicked(m.path, v, debug.Stack())
				result = answered{key: key, err: errPanic}
			}
			select {
			case g.slow.results <- result:
			case <-ctx.Done():
			}
		}()
		// Their sources may be forged, so they all count as one competitor.
		leave, err := g.cfg.Gate.Enter(gate.LaneOf(false, ike.AggressiveGroup(m.data)), netip.Addr{}, false, ctx.Done())
		if err != nil {
			result.err = err
			return
		}
		defer leave(false)
		result.embryo, result.reply, result.err = ike.Answer(g.answerEnv(), m.path, m.data, now)
	})
}

// unanswered reports an answer of Aggressive Mode for which no message 3 came. A client
// whose key differs finds the hash in the answer wrong, and may fall silent. A client
// that asked for a group without a key was reported at once.
func (g *Greeter) unanswered(e *ike.Embryo) {
	if _, unknown := e.UnknownGroup(); e.Aggressive() && !unknown {
		g.cfg.Observer.Unanswered(e.Path, e.Kind)
	}
}

// finish handles a result: it keeps and sends it like an answer of Main Mode.
func (g *Greeter) finish(now time.Time, r answered) {
	delete(g.slow.busy, r.key)
	if errors.Is(r.err, errPanic) || r.err == nil && r.reply == nil {
		return // already reported, or the server is stopping
	}
	if name, ok := r.embryo.UnknownGroup(); ok {
		g.cfg.Observer.GroupUnknown(r.key.path, r.embryo.Kind, name)
	}
	g.conclude(now, r.first, r.embryo, r.reply, r.err)
}
