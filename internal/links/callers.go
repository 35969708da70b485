package links

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/link"
)

// Callers authenticates the callers of links, and leaves all others to another backend. A
// caller whose name is a link's is that link, whatever that backend knows.
func (m *Manager) Callers(next auth.Backend) auth.Backend { return &callers{m, next} }

type callers struct {
	m    *Manager
	next auth.Backend
}

// Authenticate implements auth.Backend.
func (c *callers) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	l := c.m.calledBy(r.User)
	if l == nil {
		return c.next.Authenticate(ctx, r)
	}
	answer, err := l.local.Authenticate(ctx, r)
	return auth.Judged(answer, err, func(answer auth.Response, err error) (auth.Response, error) {
		if err != nil || answer.Verdict != auth.Accepted {
			return answer, err
		}
		if why := l.cfg.unproved(&r.Call); why != "" {
			return auth.Response{Verdict: auth.NotAllowed, Detail: why}, nil
		}
		if why := l.refuses(); why != "" {
			return auth.Response{Verdict: auth.NotAllowed, Detail: "the link " + l.cfg.Name + " is " + why}, nil
		}
		answer.Grant = l.cfg.Grant
		answer.Grant.By = auth.ByLocal
		return answer, nil
	})
}

// calledBy is the link whose caller has a name, with a Windows domain in front or without;
// nil: there is none.
func (m *Manager) calledBy(name string) *one {
	for _, n := range []string{name, auth.BareName(name)} {
		for _, l := range m.all() {
			if n != "" && l.cfg.Caller.Name == n {
				return l
			}
		}
	}
	return nil
}

// unproved says what a caller with the link's password has not proved by its keys; "" if that
// is nothing.
func (l *Link) unproved(c *auth.Call) string {
	switch {
	case l.Grant.Group != "" && c.Group != l.Grant.Group:
		return "the caller has the name and the password of the link " + l.Name + ", but not its pre-shared key: give the other end the link's psk"
	case l.Certified && !c.Certified:
		return "the caller has the name and the password of the link " + l.Name + ", but no certificate, as the link's certificate = true demands: set it at the other end, too"
	}
	return ""
}

// peer authenticates the end that we have dialled, where it authenticates itself: only the
// link's caller is it.
type peer struct{ l *one }

// Authenticate implements auth.Backend.
func (p peer) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	if want := p.l.cfg.Caller.Name; r.User != want && auth.BareName(r.User) != want {
		return auth.Response{Verdict: auth.BadCredentials, Detail: fmt.Sprintf("peer_user is %q", want)}, nil
	}
	answer, err := p.l.local.Authenticate(ctx, r)
	if err == nil && answer.Verdict == auth.BadCredentials {
		answer.Detail = "its password is not peer_password"
	}
	return answer, err
}

// refuses says why the link takes no call now; "" if it does.
func (l *one) refuses() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.rules.Admits(now) {
		return ""
	}
	i := l.rules.Info(now)
	if i.State == link.Up || i.State == link.Dialling { // about to be hung up
		return link.Held.String()
	}
	return i.State.String()
}
