package links

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/dial"
	"github.com/adit-vpn/adit/internal/link"
	"github.com/adit-vpn/adit/internal/session"
)

// one is one link.
type one struct {
	m        *Manager
	cfg      *Link
	port     *dataplane.Port            // nil: it has no device yet
	wake     chan struct{}              // the deadline has changed
	wants    chan struct{}              // a packet waits
	prepared bool                       // of the host
	local    *auth.Local                // knows the link's caller
	run      sync.WaitGroup             // what serves it, and places its calls
	end      context.CancelFunc         // nil: it has not started
	last     atomic.Pointer[netip.Addr] // where the last call was placed
	peer     atomic.Pointer[netip.Addr] // what the other end is inside, while the link is up; nil: it has no address

	mu    sync.Mutex      // guards what follows
	ctx   context.Context // nil: it has not started
	rules *link.Link
	calls map[link.Call]*leg
	leads *leg // nil: no call does
	taken bool // from the configuration, or changed in it
	shy   bool // the other end agrees to authenticate itself, and then does not
	tries int  // calls that were placed, for the choice among several remotes

	known   []Target // what the names of the remotes were last
	knownAt time.Time
}

// leg is one call of a link: being placed, or up.
type leg struct {
	number  link.Call
	session *dataplane.Session // nil: it is not up yet
	placed  *dial.Call         // nil: the other end has dialled it, or it is not placed yet
	to      session.Route      // once it is up
	hangUp  func()             // once it is up
	gone    bool               // the link has hung it up
}

func newOne(m *Manager, c *Link) *one {
	return &one{
		m: m, cfg: c, wake: make(chan struct{}, 1), wants: make(chan struct{}, 1), local: auth.NewLocal([]auth.User{c.Caller}),
		rules: link.New(c.Rules), calls: map[link.Call]*leg{},
	}
}

// held is how many packets wait for a link that is dialled on demand.
const held = 64

// open makes the device.
func (l *one) open() error {
	device, err := l.m.cfg.Host.Open(l.cfg)
	if err != nil {
		return err
	}
	c := dataplane.PortConfig{
		Device: device, Router: true, AnySource: !l.cfg.SourceCheck,
		Failed: func(err error) {
			l.m.cfg.Report(Event{Link: l.cfg.Name, Err: fmt.Errorf("the device %s is gone: restart the server: %w", l.cfg.Device, err)})
		},
		Looped: func(remote netip.Addr) { l.m.cfg.Report(Event{Link: l.cfg.Name, Looped: remote}) },
	}
	if l.cfg.Rules.Dial == link.Demand {
		c.Hold, c.Wanted = held, l.want
	}
	if l.port, err = l.m.plane.NewPort(c); err != nil {
		return errors.Join(err, device.Close())
	}
	return l.m.cfg.Host.Lead(l.cfg, false)
}

// prepare prepares the host for the link.
func (l *one) prepare() error {
	err := l.m.cfg.Host.Prepare(l.cfg)
	l.prepared = err == nil
	return err
}

// close closes the device.
func (l *one) close() error {
	if l.port == nil {
		return nil
	}
	return l.port.Close()
}

// forget closes the device, and takes back what was prepared for it.
func (l *one) forget() error {
	err := l.close()
	if l.prepared {
		err = errors.Join(err, l.m.cfg.Host.Forget(l.cfg))
	}
	return err
}

// start begins to serve the link.
func (l *one) start(ctx context.Context) {
	ctx, l.end = context.WithCancel(ctx)
	l.run.Go(func() { l.serve(ctx) })
}

// stop ends that, and every call. why is for the log; "": it goes without saying.
func (l *one) stop(why string) {
	if l.end == nil {
		return
	}
	if why != "" {
		l.change(func(r *link.Link, now time.Time) {
			l.taken = true
			r.Refused(now, why)
			r.Lower(now)
		})
	}
	l.end()
	l.run.Wait()
}

// want says that a packet waits. It is called on a worker, for every such packet.
func (l *one) want() {
	select {
	case l.wants <- struct{}{}:
	default:
	}
}

// serve waits for deadlines and packets until ctx ends.
func (l *one) serve(ctx context.Context) {
	l.mu.Lock()
	l.ctx = ctx
	l.mu.Unlock()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	l.change((*link.Link).Start)
	for {
		l.mu.Lock()
		next := l.rules.Deadline(time.Now())
		l.mu.Unlock()
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(0, min(time.Until(next), time.Minute))) // the clock may be set
		}
		select {
		case <-ctx.Done():
			l.change((*link.Link).Lower)
			return
		case <-l.wake:
		case <-l.wants:
			if l.idle() {
				l.change((*link.Link).Wanted)
			}
		case <-timer.C:
			l.change(func(r *link.Link, now time.Time) { r.HandleTimer(now, l.packets()) })
		}
	}
}

// idle reports whether nothing leads anywhere: a packet that waits has to be dialled for.
func (l *one) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leads == nil
}

// packets are those that have passed on the call that leads. The lock is held.
func (l *one) packets() uint64 {
	if l.leads == nil {
		return 0
	}
	n := l.leads.session.Counters()
	return n.InPackets + n.OutPackets
}

// change has the machine do something, and does what it says.
func (l *one) change(f func(r *link.Link, now time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.act(f)
}

// act is change with the lock held.
func (l *one) act(f func(r *link.Link, now time.Time)) {
	now := time.Now()
	before := l.rules.Info(now)
	f(l.rules, now)
	for e, ok := l.rules.NextEvent(); ok; e, ok = l.rules.NextEvent() {
		switch e := e.(type) {
		case link.Place:
			l.place(e.Call)
		case link.HangUp:
			l.hangUp(e.Call)
		case link.Lead:
			l.lead(e.Call)
		case link.Forget:
			l.port.Forget()
		}
	}
	l.report(before, l.rules.Info(now))
	select { // for the new deadline
	case l.wake <- struct{}{}:
	default:
	}
}

// report tells of a change.
func (l *one) report(before, now link.Info) {
	if before.State == now.State && before.Call == now.Call && before.Failed == now.Failed {
		return
	}
	e := Event{Link: l.cfg.Name, State: now.State, Info: now, Fell: before.State == link.Up && now.State != link.Up, Taken: l.taken}
	if now.Failed != before.Failed || e.Fell && now.Fell != before.Fell {
		e.Why = now.Failed
	}
	if l.leads != nil {
		e.Peer = l.leads.to.Wire.Peer
	}
	l.m.cfg.Report(e)
}

// hangUp ends a call.
func (l *one) hangUp(c link.Call) {
	x := l.calls[c]
	if x == nil {
		return
	}
	delete(l.calls, c)
	x.gone = true
	switch { // on a goroutine: the call's own may wait for this link's lock
	case x.hangUp != nil:
		go x.hangUp()
	case x.placed != nil:
		go x.placed.Drop(false)
	}
}

// lead has a call carry the link's packets, or none. The device leads to it already: see
// up.
func (l *one) lead(c link.Call) {
	was := l.leads != nil
	l.leads = l.calls[c]
	l.note()
	if was == (l.leads != nil) {
		return
	}
	if err := l.m.cfg.Host.Lead(l.cfg, l.leads != nil); err != nil {
		l.m.cfg.Report(Event{Link: l.cfg.Name, Err: err})
	}
}

// up takes a call whose network is up, unless it may not be the link. It is called again
// when the call's addresses change.
func (l *one) up(to session.Route, s *dataplane.Session) (*dataplane.Port, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port == nil || l.ctx == nil || l.ctx.Err() != nil {
		return nil, dial.ErrStopping
	}
	if err := l.acceptable(to); err != nil {
		l.act(func(r *link.Link, now time.Time) { r.Refused(now, err.Error()) })
		return nil, err
	}
	x, known := l.legOf(s), false
	if known = x != nil; !known {
		x = l.newLeg(to)
	}
	if x == nil {
		return nil, errors.New("the link has given this call up")
	}
	x.session, x.to, x.hangUp = s, to, to.Wire.HangUp
	if !known {
		theirs := to.Wire.Call == 0
		l.act(func(r *link.Link, now time.Time) { r.Up(now, x.number, theirs, to.Wire.Began) })
	}
	if x.gone {
		return nil, errors.New("it may not be the link: " + l.refused())
	}
	if err := l.m.cfg.Host.Wire(l.cfg, to); err != nil {
		delete(l.calls, x.number)
		x.gone = true
		l.act(func(r *link.Link, now time.Time) { r.Down(now, x.number, err.Error()) })
		return nil, err
	}
	l.port.Admit(s)
	l.note()
	return l.port, nil
}

// note has other links know what the other end is inside.
func (l *one) note() {
	l.peer.Store(nil)
	if x := l.leads; x != nil && x.to.Wire.Peer.IsValid() {
		l.peer.Store(&x.to.Wire.Peer)
	}
}

// newLeg is the leg of a call that comes up; nil: it was given up.
func (l *one) newLeg(to session.Route) *leg {
	if to.Wire.Call != 0 {
		return l.calls[link.Call(to.Wire.Call)]
	}
	x := &leg{number: l.rules.Answered()}
	l.calls[x.number] = x
	return x
}

// refused says why the last call was refused.
func (l *one) refused() string {
	if i := l.rules.Info(time.Now()); i.State != link.Up {
		return "the link is " + i.State.String()
	}
	return "another call is"
}

// down says that a session's network is down.
func (l *one) down(s *dataplane.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.legOf(s); x != nil {
		delete(l.calls, x.number)
		l.act(func(r *link.Link, now time.Time) { r.Down(now, x.number, "the connection ended") })
	}
}

// legOf is the leg of a session, nil if there is none.
func (l *one) legOf(s *dataplane.Session) *leg {
	for _, x := range l.calls {
		if x.session == s {
			return x
		}
	}
	return nil
}
