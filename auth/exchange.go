package auth

import (
	"context"
	"time"
)

// Judged has f see the verdict of an attempt, and say what comes of it: at once, or at the end
// of an exchange that goes on.
func Judged(answer Response, err error, f func(Response, error) (Response, error)) (Response, error) {
	if err == nil && answer.Verdict == Asked {
		answer.Next = judged{answer.Next, f}
		return answer, nil
	}
	return f(answer, err)
}

// judged is a Backend whose verdict f sees.
type judged struct {
	next Backend
	f    func(Response, error) (Response, error)
}

// Authenticate implements Backend.
func (j judged) Authenticate(ctx context.Context, r *Request) (Response, error) {
	answer, err := j.next.Authenticate(ctx, r)
	return Judged(answer, err, j.f)
}

// stepTime is how long the guard counts an exchange as under way whose peer does not answer.
const stepTime = 10 * time.Second

// exchange is an attempt of several steps as the guard sees it. The peer may know before its
// end that it was wrong: one that is left alone counts as a wrong one.
type exchange struct {
	g     *Guard
	first *Request
	next  Backend

	// The guard's lock guards these.
	turn *turn
	left bool        // it has counted as wrong
	wait *time.Timer // for the peer's next answer
}

// goOn goes on with an exchange.
func (g *Guard) goOn(r *Request, t *turn, next Backend) *exchange {
	x := &exchange{g: g, first: r, next: next, turn: t}
	g.mu.Lock()
	defer g.mu.Unlock()
	x.await()
	return x
}

// await waits for the peer's answer. g.mu is locked.
func (x *exchange) await() {
	x.wait = time.AfterFunc(stepTime, func() {
		x.g.mu.Lock()
		defer x.g.mu.Unlock()
		if x.wait != nil {
			x.leave()
		}
	})
}

// leave counts an exchange as wrong that has not ended. g.mu is locked.
func (x *exchange) leave() {
	x.left, x.wait = true, nil
	x.g.ended(time.Now(), x.first, x.turn, false)
}

// Authenticate implements Backend: it is the exchange's next step.
func (x *exchange) Authenticate(ctx context.Context, r *Request) (Response, error) {
	x.g.mu.Lock()
	if x.wait != nil {
		x.wait.Stop()
		x.wait = nil
	}
	x.g.mu.Unlock()

	answer, err := Response{}, errNoAnswer
	defer func() { x.stepped(ctx, answer, err) }() // also if the backend panics
	answer, err = x.next.Authenticate(ctx, r)
	if err == nil && answer.Verdict == Asked {
		x.next, answer.Next = answer.Next, x
	}
	return answer, err
}

// stepped takes over what the backend said to a step.
func (x *exchange) stepped(ctx context.Context, answer Response, err error) {
	if err == nil && answer.Verdict == Asked {
		x.g.mu.Lock()
		defer x.g.mu.Unlock()
		if !x.left {
			x.await()
		}
		return
	}
	if !x.left {
		x.g.answered(ctx, x.first, x.turn, answer, err)
		return
	}
	if err == nil && answer.Verdict == Accepted {
		x.g.mu.Lock()
		defer x.g.mu.Unlock()
		x.g.backoff.succeeded(time.Now(), x.turn.of)
	}
}
