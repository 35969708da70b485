package radius

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// dial is an attempt to open a link.
type dial struct {
	done chan struct{} // closed at its end
	err  error
}

const (
	maxLinks = 64 // to one service: 16384 requests at once
	dialTime = 10 * time.Second
)

// connect begins to open another link, unless one is being opened. s.mu is locked.
func (s *service) connect(now time.Time) (*dial, error) {
	if s.dialing != nil {
		return s.dialing, nil
	}
	if len(s.links) >= maxLinks {
		return nil, fmt.Errorf("%w: %d requests wait for it already", ErrNoAnswer, s.health.waiting)
	}
	d := &dial{done: make(chan struct{})}
	s.dialing = d
	pause := s.again.until.Sub(now)
	go func() {
		defer close(d.done)
		d.err = s.dial(pause)
	}()
	return d, nil
}

// dial opens a link after a pause.
func (s *service) dial(pause time.Duration) error {
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(s.ctx, dialTime)
	defer cancel()
	conn, err := s.open(ctx)
	s.do(func(now time.Time) {
		s.dialing = nil
		if err != nil {
			err = unreachable(err)
			s.again.failed(now)
			s.health.failed(now, err)
			s.owed = 0
			return
		}
		l := &link{conn: conn, stream: s.tls != "", since: now, heard: now}
		if s.ctx.Err() != nil {
			l.close(now)
			return
		}
		s.links, s.local = append(s.links, l), hostOf(conn.LocalAddr())
		go s.read(l)
		if l.stream && s.health.away() {
			s.owed |= s.health.every() // it listens: does it answer, too?
		}
		s.pay(now)
	})
	return err
}

// reconnect says when a link may be opened again: after half a second at least, then by and
// by less often, and not all clients of a server at the same time.
type reconnect struct {
	pause time.Duration
	until time.Time
}

// The pauses, each with as much as its half again by chance.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 8 * time.Second
)

func (r *reconnect) failed(now time.Time) {
	r.pause = min(max(firstPause, 2*r.pause), lastPause)
	r.until = now.Add(r.pause + rand.N(r.pause/2)) //nolint:gosec // it keeps no secret
}
