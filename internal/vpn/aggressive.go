package vpn

import (
	"context"
	"errors"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// A first message of Aggressive Mode costs a Diffie-Hellman exchange before its
// sender has shown that it is where it says. So it waits for processor time
// behind the gate, on a goroutine of its own, few of which there are: the
// greeter goes on meanwhile.
const (
	aggressiveAtOnce    = 16
	aggressiveRate      = 64 // a second, of everybody
	aggressivePerSource = 16 // a second, of one IPv4 address or IPv6 /64
)

// errPanic stands for a result that there is none of.
var errPanic = errors.New("an error in the server")

// answered is a first message of Aggressive Mode with its answer.
type answered struct {
	key    firstKey
	embryo ike.Embryo
	reply  []byte
	err    error
}

// computing is what the greeter knows of the answers under way.
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

// may reports whether an answer may begin, and counts it. Who is refused
// repeats the message.
func (c *computing) may(now time.Time, key firstKey) bool {
	if now.Sub(c.refilled) >= time.Second || now.Before(c.refilled) {
		c.left, c.refilled = aggressiveRate, now
		clear(c.sources)
	}
	source := sourceOf(key.path.Remote.Addr())
	if c.busy[key] || len(c.busy) == aggressiveAtOnce || c.left == 0 || c.sources[source] == aggressivePerSource {
		return false
	}
	c.left--
	c.sources[source]++
	c.busy[key] = true
	return true
}

// compute has a first message of Aggressive Mode answered; the result comes
// back to the greeter.
func (s *Server) compute(ctx context.Context, c *computing, now time.Time, m firstMessage) {
	key := keyOf(m)
	if !c.may(now, key) {
		s.drop(m.path, ErrBusy)
		return
	}
	c.run.Go(func() {
		result := answered{key: key}
		defer func() {
			if v := recover(); v != nil {
				s.cfg.Observer.Observe(Panicked{Who{Remote: m.path.Remote, Local: m.path.Local}, v, debug.Stack()})
				result = answered{key: key, err: errPanic}
			}
			select {
			case c.results <- result:
			case <-ctx.Done():
			}
		}()
		leave, ok := s.gate.enter(false, ctx.Done())
		if !ok {
			return
		}
		defer leave()
		result.embryo, result.reply, result.err = ike.Answer(s.answerEnv(), m.path, m.data, now)
	})
}

// unanswered reports an answer of Aggressive Mode that no message 3 came to. A
// client that finds the hash in it wrong, because its key is another, may fall
// silent; one that asked for a group without a key was reported at once.
func (s *Server) unanswered(e *ike.Embryo) {
	if _, unknown := e.UnknownGroup(); e.Aggressive() && !unknown {
		s.cfg.Observer.Observe(AggressiveUnanswered{Who{Remote: e.Path.Remote, Local: e.Path.Local, Client: e.Kind}})
	}
}

// finish takes a result: it is kept and sent like an answer of Main Mode.
func (s *Server) finish(now time.Time, half *halfOpen, c *computing, r answered) {
	delete(c.busy, r.key)
	if errors.Is(r.err, errPanic) || r.err == nil && r.reply == nil {
		return // said already, or the server stops
	}
	if name, ok := r.embryo.UnknownGroup(); ok {
		s.cfg.Observer.Observe(GroupUnknown{Who{Remote: r.key.path.Remote, Local: r.key.path.Local, Client: r.embryo.Kind}, name})
	}
	s.conclude(now, half, r.key, r.embryo, r.reply, r.err)
}
