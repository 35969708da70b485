package radius

import (
	"context"
	"errors"
	"fmt"
	"time"

	"layeh.com/radius"
)

// question is a request as it can be put to any server.
type question struct {
	kind kind
	user string                     // whose realm says which servers are asked
	at   *service                   // the only server to ask, as a conversation stays where it began; nil: any
	late func(reply *radius.Packet) // takes an answer that nobody waits for any more; may be nil
	// build makes the request for a server: it depends on the secret.
	build func(secret []byte) (*radius.Packet, error)
}

// writable says why no request can be made for a server; nil: one can.
func (q *question) writable(secret []byte) error {
	packet, err := q.build(secret)
	if err == nil {
		_, err = encode(packet)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil
}

// When a request is repeated that has no answer: the same bytes, so that the server knows
// that it has it already (RFC 5080, section 2.2.2).
const (
	firstRepeat = time.Second
	laterRepeat = 1500 * time.Millisecond
)

// writeTime is how long a connection may take to accept a packet.
const writeTime = 2 * time.Second

// maxResends bounds how often one request is sent anew because connections close.
const maxResends = 3

// ask puts a question to the service and waits for its answer until ctx ends. It is given up
// before, if the server keeps silent or is not there, and there is another one to ask:
// elsewhere says that.
func (s *service) ask(ctx context.Context, q *question, elsewhere func() bool) (reply *radius.Packet, err error) {
	if err = q.writable(s.secret.Reveal()); err != nil { // before anything is thought of the server
		return nil, err
	}
	w := wait{service: s, began: time.Now(), elsewhere: elsewhere}
	s.do(func(now time.Time) {
		if err = s.ctx.Err(); err != nil {
			err = errReplaced
			return
		}
		s.asking++
		if w.down = s.health.away(); !w.down {
			w.fallen = s.fallen
		}
		s.health.sent(now)
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		s.do(func(time.Time) {
			s.asking--
			s.health.ended()
			s.count.results[resultOf(reply, err, errors.Is(ctx.Err(), context.Canceled))]++
		})
	}()
	for range maxResends {
		reply, err = w.once(ctx, q)
		if !errors.Is(err, errClosed) {
			return reply, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

// errReplaced says that the configuration has another server by now, or another secret for it.
var errReplaced = errors.New("the configuration of the server has changed")

// wait is one question's wait for one service.
type wait struct {
	*service
	began     time.Time
	down      bool            // it was down then, and is asked all the same
	fallen    <-chan struct{} // closed when it goes down
	elsewhere func() bool
}

// once sends the request and waits for its end.
func (w *wait) once(ctx context.Context, q *question) (*radius.Packet, error) {
	p, err := w.send(ctx, q)
	if err != nil {
		return nil, err
	}
	defer w.do(func(now time.Time) { p.release(now) })
	repeat := time.NewTimer(firstRepeat)
	defer repeat.Stop()
	for {
		select {
		case o := <-p.done:
			return o.reply, o.err
		case <-w.fallen:
			w.fallen = nil
		case <-ctx.Done():
			w.do(func(time.Time) { p.late = q.late })
			return nil, w.unanswered(ctx, p)
		case <-repeat.C:
			repeat.Reset(laterRepeat)
			if !p.link.stream { // RFC 6613, section 2.6.1: not on one connection
				w.write(p, true)
			}
		}
		if err := w.giveUp(p); err != nil {
			return nil, err
		}
	}
}

// giveUp says why the service is not waited for any longer, nil if it is. Where something
// answers in its place, or by another secret, nothing is gained by waiting, either.
func (w *wait) giveUp(p *pending) error {
	w.mu.Lock()
	away, why := w.health.away(), w.health.why
	if p != nil && p.last != nil {
		why = p.last
	} else if why == nil {
		why = w.silent()
	}
	forged := p != nil && p.last != nil
	w.mu.Unlock()
	if !away || w.down && time.Since(w.began) < silence {
		return nil
	}
	if forged || w.elsewhere() {
		return why
	}
	return nil
}

// unanswered is the error of a request whose time is over.
func (w *wait) unanswered(ctx context.Context, p *pending) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case p != nil && p.last != nil:
		return p.last
	case w.health.heard.After(w.began):
		return fmt.Errorf("%w: it is there, and has said nothing to this request for %v", ErrNoAnswer, time.Since(w.began).Round(time.Second))
	case w.health.why != nil:
		return w.health.why
	}
	return w.silent()
}

// send takes a link with a free identifier, and sends the request by it.
func (w *wait) send(ctx context.Context, q *question) (*pending, error) {
	for {
		var p *pending
		var d *dial
		var err error
		w.do(func(now time.Time) {
			if p, err = w.prepare(now, q); p == nil && err == nil {
				d, err = w.connect(now)
			}
		})
		switch {
		case err != nil:
			return nil, err
		case p != nil:
			w.write(p, false)
			return p, nil
		}
		if err := w.opened(ctx, d); err != nil {
			return nil, err
		}
	}
}

// opened waits until a link was opened.
func (w *wait) opened(ctx context.Context, d *dial) error {
	look := time.NewTicker(laterRepeat)
	defer look.Stop()
	for {
		select {
		case <-d.done:
			return d.err
		case <-ctx.Done():
			return w.unanswered(ctx, nil)
		case <-w.fallen:
			w.fallen = nil
		case <-look.C:
		}
		if err := w.giveUp(nil); err != nil {
			return err
		}
	}
}

// prepare makes the request and gives it an identifier of a link that has one; nil, if none
// has. s.mu is locked.
func (s *service) prepare(now time.Time, q *question) (*pending, error) {
	packet, err := q.build(s.secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	for _, l := range s.links {
		p := l.take(now, packet)
		if p == nil {
			continue
		}
		p.accounting = q.kind == accounting
		if p.request, err = encode(packet); err != nil {
			p.release(now)
			return nil, fmt.Errorf("%w: %w", errRequest, err)
		}
		return p, nil
	}
	return nil, nil
}

// write puts a request on the wire. What the network says of it comes as the link's error.
func (s *service) write(p *pending, again bool) {
	if again {
		s.do(func(time.Time) { s.count.repeats++ })
	}
	if p.link.stream {
		_ = p.link.conn.SetWriteDeadline(time.Now().Add(writeTime))
	}
	if _, err := p.link.conn.Write(p.request); err != nil {
		s.broken(p.link, err)
	}
}
