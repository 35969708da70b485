package session

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
)

// errSessions says that the user may not open another session.
var errSessions = errors.New("the user has as many sessions as limits.sessions_per_user, the group, or Port-Limit allows")

// grant leases what an accepted user gets. Its errors are for the administrator.
// errSessions, pool.ErrTaken and an Overlap of what was leased may no longer apply once another
// session has ended.
func (s *Session) grant(now time.Time, g auth.Grant, b Bound) error {
	s.release()
	if detail := b.judge(g.Group); detail != "" {
		return errors.New(detail)
	}
	if err := s.admits(now, &g); err != nil {
		return err
	}
	if err := s.judge(&g); err != nil {
		return err
	}
	if detail := judgeSettings(g.Settings); detail != "" {
		return errors.New(detail)
	}
	g.OwnDevice = g.OwnDevice || s.env.Policy.ownDevice(g.Group) // for the session's life: see changed
	limit := s.env.Policy.SessionsPerUser
	if g.Limits.Sessions > 0 {
		limit = g.Limits.Sessions
	}
	if !s.env.Registry.Enter(g.User, limit) {
		return errSessions
	}
	s.st.grant, s.st.entered, s.st.began = g, true, false
	if err := s.lease(g); err != nil {
		s.release()
		return err
	}
	return nil
}

// lease takes what a grant names, if nobody else has it, and takes the rest from the
// pools.
func (s *Session) lease(g auth.Grant) error {
	named := granted(g, s.has6(&g))
	if err := s.env.Registry.Hold(g.User, named); err != nil {
		return err
	}
	s.st.holds = named
	a, err := s.env.Pool.LeaseOf(g.Pools.IPv4, g.User, g.Address)
	if err != nil {
		return err
	}
	s.st.address = a
	if err := s.grant6(g); err != nil {
		return err
	}
	var more []netip.Prefix
	for _, p := range append(s.st.six.own(), pool.Host(s.st.address)) {
		if !slices.Contains(s.st.holds, p) {
			more = append(more, p)
		}
	}
	s.env.Registry.Keep(g.User, more)
	s.st.holds = append(s.st.holds, more...)
	return nil
}

// preempts reports whether a refusal is one that ends the sessions that are in the way.
func (s *Session) preempts(denied error) bool {
	var o *Overlap
	return s.env.Policy.Preempt && errors.As(denied, &o) && o.Leased
}

// judge describes, for the administrator, why a user of a group ("" for none) may not log
// in with the key or certificate that the client proved; "" if the user may.
func (b Bound) judge(user string) string {
	if b.Group == "" || b.Group == user {
		return ""
	}
	of := "of none"
	if user != "" {
		of = fmt.Sprintf("of the group %.128q", user)
	}
	proof, another := "pre-shared key", "key"
	if b.Certificate {
		proof, another = "certificate", "certificate"
	}
	return fmt.Sprintf("the %s is of the group %q, the user %s: set the user's group, or give the client another %s", proof, b.Group, of, another)
}

// release returns what grant took. It is idempotent.
func (s *Session) release() {
	if s.st.address.IsValid() {
		s.env.Pool.Release(s.st.address)
		s.st.address = netip.Addr{}
	}
	s.release6()
	if s.st.holds != nil {
		s.env.Registry.Unhold(s.st.grant.User, s.st.holds)
		s.st.holds = nil
		s.push(Released{s.st.grant.User, s.st.grant.Routes})
	}
	if s.st.entered {
		s.env.Registry.Leave(s.st.grant.User)
		s.st.entered = false
	}
}
