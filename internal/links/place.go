package links

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/dial"
	"github.com/adit-vpn/adit/internal/link"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

const (
	resolveTime = 2 * time.Second // for a name server to answer
	knownTime   = time.Minute     // for which it is not asked again
)

// place dials, on a goroutine of its own: a name server may be asked. The lock is held.
func (l *one) place(c link.Call) {
	x := &leg{number: c}
	l.calls[c] = x
	if l.ctx == nil || l.ctx.Err() != nil {
		return // it is given up when the link has started
	}
	try := l.tries
	l.tries++
	l.run.Go(func() {
		to, err := l.target(try)
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case x.gone:
			return
		case err == nil:
			if l.cfg.ByAddress {
				l.rules.Prefer(to.Path.Local.Addr().Less(to.Path.Remote.Addr()))
			}
			l.rules.Begun(time.Now(), c)
			x.placed, err = dial.Place(l.m.server, dial.Config{Calling: vpn.Calling{
				Path: to.Path, Policy: l.cfg.Policy(to.Host), PPP: l.as(), Bare: l.cfg.Bare, Peer: peer{l}, Device: l.cfg.Device, Call: uint64(c), Networks: l.cfg.sources(),
			}}, &watcher{l, x})
		}
		if err != nil {
			delete(l.calls, c)
			l.act(func(r *link.Link, now time.Time) {
				if lasting(err) {
					r.Stepped(now, c) // it is no silence: another try soon does not help
				}
				r.Down(now, c, err.Error())
			})
		}
	})
}

// as is how the link is dialled; nil: it is a tunnel, without PPP. The lock is held.
func (l *one) as() *ppp.Config {
	if l.cfg.PPP == nil {
		return nil
	}
	c := *l.cfg.PPP()
	if l.shy && c.PeerAuth == ppp.PeerAuthAsked {
		c.PeerAuth = ppp.PeerAuthNone
	}
	return &c
}

// lasting reports whether a call that could not be placed fails again for the same reason,
// whatever becomes of the path.
func lasting(err error) bool {
	var dns *net.DNSError
	return errors.Is(err, errNoRemote) || errors.Is(err, errOwnRoute) || errors.As(err, &dns) && dns.IsNotFound
}

// errNoRemote says that a link is to be dialled that has nothing to dial.
var errNoRemote = errors.New("the link has no remote: the other end has to call")

// errOwnRoute says that a link's routes lead into itself.
var errOwnRoute = errors.New("the link cannot come up")

// targets are where the link is dialled. What a name server has said is good for a while,
// and as long as no other answer comes: the way to it may be the one that is torn.
func (l *one) targets() ([]Target, error) {
	l.mu.Lock()
	ctx, known, at := l.ctx, l.known, l.knownAt
	l.mu.Unlock()
	if len(known) > 0 && time.Since(at) < knownTime {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	list, err := l.cfg.Remote(ctx)
	switch {
	case err == nil:
		l.mu.Lock()
		l.known, l.knownAt = list, time.Now()
		l.mu.Unlock()
		return list, nil
	case len(known) > 0 && !lasting(err):
		return known, nil
	}
	return nil, err
}

// target is where the nth call goes: to each remote in turn.
func (l *one) target(n int) (Target, error) {
	if l.cfg.Remote == nil {
		return Target{}, errNoRemote
	}
	list, err := l.targets()
	if err != nil {
		return Target{}, err
	}
	target := list[n%len(list)]
	to := target.Path.Remote.Addr()
	if err := l.cfg.leadsIntoItself(to); err != nil {
		return Target{}, err
	}
	if err := l.dials(to); err != nil {
		return Target{}, err
	}
	return target, l.throughItself(to)
}

// leadsTo reports whether the link's routes lead to an address.
func (l *Link) leadsTo(a netip.Addr) bool {
	return slices.ContainsFunc(l.Routes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// watcher hears how a call goes that we have placed.
type watcher struct {
	l *one
	x *leg
}

var _ dial.Watcher = (*watcher)(nil)

// Heard implements dial.Watcher.
func (w *watcher) Heard(now time.Time) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	if w.x.session == nil {
		w.l.rules.Stepped(now, w.x.number)
	}
}

// Up implements dial.Watcher: Ports has heard of it.
func (w *watcher) Up(time.Time, ppp.NetworkUp, *dataplane.Session) {}

// Up6 implements dial.Watcher.
func (w *watcher) Up6(ppp.Network6Up) {}

// Down implements dial.Watcher. Ports has heard of it: what is left of the call is ended.
func (w *watcher) Down(time.Time) {
	w.l.mu.Lock()
	placed := w.x.placed
	w.l.mu.Unlock()
	go placed.HangUp()
}

// Packet implements dial.Watcher.
func (w *watcher) Packet([]byte) {}

// Failed implements dial.Watcher. An end that agrees to authenticate itself and then does not
// is not asked again: it came up only if it was not asked.
func (w *watcher) Failed(why string) {
	if why == ppp.ReasonUnproven.String() {
		w.l.mu.Lock()
		defer w.l.mu.Unlock()
		w.l.shy = true
	}
}

// Ended implements dial.Watcher.
func (w *watcher) Ended(why error) {
	l := w.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.x.gone {
		delete(l.calls, w.x.number)
		l.act(func(r *link.Link, now time.Time) {
			text := inWords(why.Error())
			r.Down(now, w.x.number, text)
			r.Because(w.x.number, text)
		})
	}
}
