package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/ppp"
)

var errAnother = errors.New("another user answered than the one whose session it is")

// expire ends a session whose time is over, or has its user authenticate again (RFC 2865,
// section 5.29): what it may have until then stays as it is.
func (s *Session) expire(now time.Time) {
	s.st.end = time.Time{}
	if s.st.grant.Again == nil || s.over(now) || !s.link.Reauthenticate(now) {
		s.link.Close(now, ppp.ReasonSessionTimeout)
	}
}

// over reports whether the user may have no session any more, whatever a backend would say.
func (s *Session) over(now time.Time) bool {
	return due(s.st.grant.Until, now) || !limit.Open(s.st.grant.Limits.Hours, now)
}

// renew has a session go on whose user was accepted again, with what was granted now. It keeps its
// addresses and networks, which its client and the host have, and its name in accounting: it
// is one session. What else the grant names comes with the next one.
func (s *Session) renew(now time.Time, a *attempt, b Bound, r auth.Response) {
	r.Grant.Identify(s.env.Policy.Identity, a.name)
	g, warnings := s.env.Policy.Resolve(r.Grant)
	if other := g.Address; other.IsValid() && other != s.st.address {
		warnings = append(warnings, fmt.Sprintf("the address %v: the session has another, and keeps it", other))
	}
	r.Warnings = slices.Concat(r.Warnings, warnings)
	answer := ppp.AuthAnswer{OK: true, Message: r.Message, Success: r.Success, Error: r.Code}
	if err := s.renewable(now, &g, b); err != nil {
		r.Verdict, r.Detail = auth.NotAllowed, err.Error()
		answer = ppp.AuthAnswer{Error: mschapNoDialin}
	} else {
		was := s.st.grant
		g.Address, g.IPv6, g.Routes, g.Pools, g.Settings = was.Address, was.IPv6, was.Routes, was.Pools, was.Settings
		g.NBNS, g.MTU, g.Interface, g.Link, g.Name = was.NBNS, was.MTU, was.Interface, was.Link, was.Name
		s.st.method, s.st.timed = a.method, now
		s.regrant(now, g)
	}
	s.judged(now, a, r, nil, answer)
}

// renewable says, for the administrator, why a session cannot go on with a grant; nil: it can.
func (s *Session) renewable(now time.Time, g *auth.Grant, b Bound) error {
	if g.User != s.st.grant.User {
		return errAnother
	}
	if detail := b.judge(g.Group); detail != "" {
		return errors.New(detail)
	}
	return s.admits(now, g)
}
