package halfopen

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/crowd"
)

// Run answers first messages and hands over third messages until ctx ends. It may be
// called once.
func (g *Greeter) Run(ctx context.Context) {
	defer g.slow.run.Wait()
	expiry := time.NewTicker(embryoLife / 2)
	defer expiry.Stop()
	var of pace
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			g.half.expire(time.Now())
		case r := <-g.slow.results:
			g.finish(time.Now(), r)
		case m := <-g.third:
			g.meet(ctx, time.Now(), m)
		case m := <-g.second:
			g.meetBefore(ctx)
			g.meet(ctx, time.Now(), m)
		case <-of.rest:
			of = pace{}
		case m := <-of.queue(g.first):
			g.meetBefore(ctx)
			began := time.Now()
			g.meet(ctx, began, m)
			of.took(time.Since(began), len(g.first))
		}
		g.live.Store(int64(g.half.live()))
	}
}

// pace has first messages wait where there are more than can be answered. The receiver of
// datagrams may have no other processor: what it cannot read in time the kernel drops, the
// messages of clients who are known, or come again, with the others.
type pace struct {
	n    int           // first messages in a row
	time time.Duration // that they took
	rest <-chan time.Time
}

const (
	paceMessages = 32
	paceShare    = 30 // of a processor's time they have one part in so many
)

// queue is where the next first message comes from; nil: none is taken now.
func (p *pace) queue(first chan firstMessage) chan firstMessage {
	if p.rest != nil {
		return nil
	}
	return first
}

// took notes how long a first message took, and how many wait behind it.
func (p *pace) took(d time.Duration, waiting int) {
	if waiting < queueSize/2 {
		*p = pace{}
		return
	}
	if p.n, p.time = p.n+1, p.time+d; p.n == paceMessages {
		p.rest = time.After((paceShare - 1) * p.time)
	}
}

// meetBefore handles a third message and a repeated first message, if one is waiting:
// they do not wait behind a flood of first messages.
func (g *Greeter) meetBefore(ctx context.Context) {
	for _, queue := range []chan firstMessage{g.third, g.second} {
		select {
		case m := <-queue:
			g.meet(ctx, time.Now(), m)
		default:
		}
	}
}

// meet handles one first or third message. A message that causes a panic is dropped.
func (g *Greeter) meet(ctx context.Context, now time.Time, m firstMessage) {
	defer func() {
		if v := recover(); v != nil {
			g.cfg.Observer.Panicked(m.path, v, debug.Stack())
		}
	}()
	h, err := ike.Peek(m.data)
	if err != nil {
		g.drop(m.path, err)
		return
	}
	if h.Cookies.Responder == ([8]byte{}) {
		g.answer(ctx, now, m, h.Exchange)
		return
	}
	e, first, ok := g.half.take(h.Cookies, m.path, now)
	if !ok {
		// While this message waited here, a connection took the embryo, together with the
		// first fragment of the message of which this is the second.
		if g.cfg.Connections.Pass(h.Cookies, m.path, m.data) {
			return
		}
		if e, first, ok = g.recall(now, m.path, h.Cookies); !ok {
			g.half.prove(crowd.SourceOf(m.path.Remote.Addr()), now)
			g.drop(m.path, ErrUnknownSA)
			return
		}
	}
	g.cfg.Connections.Begin(now, Handshake{Embryo: e, First: first, Path: m.path, Third: m.data})
}

func (g *Greeter) answer(ctx context.Context, now time.Time, m firstMessage, exchange ike.Exchange) {
	key := keyOf(m)
	if reply, ok := g.half.repeated(key, m.data, now); ok {
		g.cfg.Send(m.path, reply)
		return
	}
	if cookies, ok := g.half.late(key, now); ok {
		if to, ok := g.cfg.Connections.Routed(cookies); ok && to.Negotiates {
			g.drop(m.path, ErrLate)
			return
		}
	}
	if exchange == ike.ExchangeAggressive && g.cfg.Policy().Aggressive {
		g.compute(ctx, now, m)
		return
	}
	g.prepare(now, m.path, m.data)
	if reply, ok := g.answerKnown(nil, now, m.path, m.data); ok {
		if len(reply) > 0 {
			g.cfg.Send(m.path, reply)
		}
		return
	}
	e, reply, err := ike.Answer(g.answerEnv(), m.path, m.data, now)
	g.conclude(now, m, e, reply, err)
}

func (g *Greeter) answerEnv() ike.Env {
	return ike.Env{Policy: g.cfg.Policy(), Rand: g.cfg.Rand, Cookie: g.cookie, Decoy: g.decoy[:]}
}

// conclude keeps an embryo and sends its answer, or sends a refusal.
func (g *Greeter) conclude(now time.Time, m firstMessage, e ike.Embryo, reply []byte, err error) {
	path := m.path
	if err != nil {
		g.cfg.Observer.Refused(path, err)
		if len(reply) > 0 && g.half.mayRefuse(now) { // a notify that explains, never larger than the request
			g.cfg.Send(path, reply)
		}
		return
	}
	g.half.add(m, e, now)
	g.cfg.Send(path, reply)
}
