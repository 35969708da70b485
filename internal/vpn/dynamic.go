package vpn

import (
	"context"
	"sync"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ppp"
)

// Dynamic is a server's sessions for those who may end and change them, as RADIUS servers do
// (RFC 5176).
type Dynamic struct{ *Server }

var _ auth.Sessions = Dynamic{}

// Live implements auth.Sessions. Sessions of links that we have called are not among them.
func (d Dynamic) Live(match func(*auth.Live) bool) (list []auth.Live) {
	for _, c := range d.all() {
		st := c.info.Load()
		if st == nil || c.device() != "" {
			continue
		}
		for i, call := range st.calls {
			s := &st.Sessions[i]
			l := auth.Live{Call: *call, User: s.User, Name: s.Name, Address: s.Address, IPv6: s.IPv6}
			l.Call.Multi = st.multi
			if match(&l) {
				list = append(list, l)
			}
		}
	}
	return list
}

// Disconnect implements auth.Sessions.
func (d Dynamic) Disconnect(ctx context.Context, ids []string) (int, error) {
	return d.each(ctx, ids, func(now time.Time, c *Conn, s *call) error {
		s.Close(now, ppp.ReasonAdmin)
		return nil
	})
}

// Change implements auth.Sessions.
func (d Dynamic) Change(ctx context.Context, ids []string, change auth.Change) (int, error) {
	if n, err := d.each(ctx, ids, func(now time.Time, c *Conn, s *call) error { return s.Changes(now, change, c.bound()) }); err != nil {
		return n, err
	}
	return d.each(ctx, ids, func(now time.Time, c *Conn, s *call) error { return s.Change(now, change, c.bound()) })
}

// each runs f for each of these sessions, on its connection's goroutine, with all that follows,
// and returns how many there were.
func (d Dynamic) each(ctx context.Context, ids []string, f func(time.Time, *Conn, *call) error) (n int, first error) {
	want := make(map[string]bool, len(ids))
	for _, id := range ids {
		want[id] = true
	}
	var mu sync.Mutex
	var conns []*Conn
	var done []chan struct{}
	for _, c := range d.all() {
		st := c.info.Load()
		if st == nil || !st.hasOne(want) {
			continue
		}
		finished := make(chan struct{})
		conns, done = append(conns, c), append(done, finished)
		c.do(func(now time.Time) {
			defer close(finished)
			if ctx.Err() != nil {
				return // nobody hears of it any more
			}
			for _, s := range append([]*call(nil), c.calls...) {
				if !want[s.ID()] || !s.Up() {
					continue
				}
				err := f(now, c, s)
				mu.Lock()
				n++
				if first == nil {
					first = err
				}
				mu.Unlock()
			}
			c.pumpPPP(now)
		})
	}
	for i, c := range conns {
		select {
		case <-done[i]:
		case <-c.done:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return n, first
}

// hasOne reports whether one of the sessions has one of these ids.
func (st *Status) hasOne(ids map[string]bool) bool {
	for i := range st.Sessions {
		if ids[st.Sessions[i].ID] {
			return true
		}
	}
	return false
}
