package links

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/link"
)

// Status is a link as an administrator sees it.
type Status struct {
	*Link
	link.Info
	Admits        bool       // calls of the other end
	Local, Peer   netip.Addr // inside, while it is up; not valid: unnumbered
	Local6, Peer6 netip.Addr // link-local
	MTU           int
	Proved        auth.Method        // by which the other end has authenticated itself; 0: by none
	Carried       dataplane.Counters // on the present call
}

// info is what the link does now.
func (l *one) info() link.Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rules.Info(time.Now())
}

func (l *one) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := Status{Link: l.cfg, Info: l.rules.Info(now), Admits: l.rules.Admits(now)}
	if x := l.leads; x != nil {
		w := x.to.Wire
		s.Local, s.Peer, s.Local6, s.Peer6, s.MTU = w.Local, w.Peer, w.Local6, w.Peer6, x.to.MTU
		s.Proved = w.Method
		s.Carried = x.session.Counters()
	}
	return s
}

// sources are what may come from the other end; nil: anything.
func (l *Link) sources() []netip.Prefix {
	if !l.SourceCheck {
		return nil
	}
	return l.Routes
}
