package session

import (
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/machine"
)

// Change changes what the user of a session that is up may have: rates, filter, quotas,
// timeouts, group. It is as if the backend had granted that when the user authenticated, from
// when Session-Timeout counts. An error says why nothing changes; Changes says so beforehand.
func (s *Session) Change(now time.Time, c auth.Change, b Bound) error {
	g, err := s.changed(now, c, b)
	if err != nil {
		return err
	}
	s.regrant(now, g)
	s.pump(now)
	return nil
}

// regrant has a session that is up go on with another grant, of the same addresses.
func (s *Session) regrant(now time.Time, g auth.Grant) {
	s.st.grant = g
	s.limitTime(now)
	if s.limited() {
		s.checkQuota(now)
	} else if s.st.usage.next = (time.Time{}); s.st.usage.garden {
		s.st.usage.garden = false
		s.push(Gardened{false})
	}
	if s.interimInterval() > 0 {
		s.st.interim = machine.Earliest(s.st.interim, s.nextInterim(now))
	} else {
		s.st.interim = time.Time{}
	}
	s.limit()
	s.push(Changed{})
}

// Changes says why Change would change nothing, nil if it would.
func (s *Session) Changes(now time.Time, c auth.Change, b Bound) error {
	_, err := s.changed(now, c, b)
	return err
}

// changed is the session's grant after a change.
func (s *Session) changed(now time.Time, c auth.Change, b Bound) (auth.Grant, error) {
	g, set := s.st.grant, c.Set
	g.Class, g.Limits.Filter = slices.Clone(g.Class), slices.Clone(g.Limits.Filter)
	c.Clear(&g)
	for _, name := range set.Filters { // behind what is said without a name, as Resolve has it
		if why := s.env.Policy.name(&set, name); why != "" {
			return g, fmt.Errorf("%w: %s", auth.ErrUnknownName, why)
		}
	}
	if set.Group != "" {
		if detail := b.judge(set.Group); detail != "" {
			return g, fmt.Errorf("%w: %s", auth.ErrProhibited, detail)
		}
		if own := s.env.Policy.ownDevice(set.Group); own != s.env.Policy.ownDevice(g.Group) && own != g.OwnDevice {
			return g, fmt.Errorf("%w: the group %.64q has another interface in its [[group]], and a session keeps its device: end it, so that its client connects again", auth.ErrProhibited, set.Group)
		}
		g = g.Disinherit(s.env.Policy.Groups[g.Group])
		g.Group = set.Group
		set = set.Inherit(s.env.Policy.Groups[set.Group])
	}
	g = g.Override(set)
	if err := s.admits(now, &g); err != nil {
		return g, fmt.Errorf("%w: %w", auth.ErrProhibited, err)
	}
	return g, nil
}

// limitTime sets when a session that is up ends, at the latest and if it is idle.
func (s *Session) limitTime(now time.Time) {
	s.st.end = time.Time{}
	if s.st.grant.SessionTimeout > 0 {
		s.st.end = s.st.timed.Add(s.st.grant.SessionTimeout)
	}
	s.st.end = machine.Earliest(s.st.end, s.st.grant.Until)
	if hours := s.st.grant.Limits.Hours; !limit.Open(hours, now) { // they ended since the user was admitted
		s.st.end = now
	} else {
		s.st.end = machine.Earliest(s.st.end, limit.Change(hours, now))
	}
	s.st.idle = time.Time{}
	if s.st.grant.IdleTimeout > 0 {
		s.st.active = now
		s.checkIdle(now)
	}
}
