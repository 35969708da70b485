package session

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/ppp"
)

// Usages knows what the sessions of users have carried in the present day and month, both
// ways together, also those of earlier starts of the server.
type Usages interface {
	// Spend adds octets to what a user has carried, and returns the sums.
	Spend(now time.Time, user string, octets uint64) (day, month limit.Octets)
}

// usage is what a session has used of its user's quotas.
type usage struct {
	spent  uint64    // octets that Usages knows
	next   time.Time // when the quotas are checked next; zero: never
	garden bool      // they are used up, and Garden is the filter
	told   bool      // the driver has been told of limits
}

// afresh is the usage of another session on the same link.
func (u usage) afresh() usage { return usage{told: u.told} }

// Resolve returns a grant with what its group, and the names in it, stand for. The warnings
// are about names that stand for nothing.
func (p *Policy) Resolve(g auth.Grant) (auth.Grant, []string) {
	var warnings []string
	for _, name := range g.Filters {
		if why := p.name(&g, name); why != "" {
			warnings = append(warnings, why)
		}
	}
	return g.Inherit(p.Groups[g.Group]), warnings
}

// name applies the name of a group, of a filter, or of one direction of a filter, or a rate. It
// says why it does nothing.
func (p *Policy) name(g *auth.Grant, name string) string {
	if _, ok := p.Groups[name]; ok {
		if g.Group != "" && g.Group != name {
			return fmt.Sprintf("the group %.64q is passed over: the user is of the group %.64q already", name, g.Group)
		}
		g.Group = name
		return ""
	}
	if f, ok := p.Filters[name]; ok {
		g.Limits.Filter = append(g.Limits.Filter[:len(g.Limits.Filter):len(g.Limits.Filter)], f...)
		return ""
	}
	for end, out := range map[string]bool{".in": false, ".out": true} {
		base, ok := strings.CutSuffix(name, end)
		f, known := p.Filters[base]
		if !ok || !known {
			continue
		}
		for _, r := range f {
			if r.Out == out {
				g.Limits.Filter = append(g.Limits.Filter[:len(g.Limits.Filter):len(g.Limits.Filter)], r)
			}
		}
		return ""
	}
	if rates, ok := limit.ShaperRates(name); ok {
		g.Limits.Rates = g.Limits.Rates.Or(rates)
		return ""
	}
	return fmt.Sprintf("Filter-Id %.64q does nothing: no [[group]] and no [[filter]] has that name", name)
}

// Errors of users who may come in at another time. They are for the administrator.
var (
	errHours = errors.New("outside of the hours in which the user, or the user's group, may connect")
	errQuota = errors.New("the user's quota is used up")
	errEnded = errors.New("the time until which the RADIUS server grants the service is over")
)

// admits says why the user of a grant may not come in now, nil if that is not so.
func (s *Session) admits(now time.Time, g *auth.Grant) error {
	if !limit.Open(g.Limits.Hours, now) {
		return fmt.Errorf("%w: they begin on %s", errHours, limit.Change(g.Limits.Hours, now).Format("Monday at 15:04"))
	}
	if due(g.Until, now) {
		return errEnded
	}
	if g.Limits.Garden != nil || s.env.Usages == nil {
		return nil
	}
	day, month := s.env.Usages.Spend(now, g.User, 0)
	for _, x := range []struct {
		limit, used limit.Octets
		of          string
	}{{g.Limits.Day, day, "day"}, {g.Limits.Month, month, "month"}} {
		if x.limit > 0 && x.used >= x.limit {
			return fmt.Errorf("%w: %v a %s", errQuota, x.limit, x.of)
		}
	}
	return nil
}

// limited reports whether a session has a quota.
func (s *Session) limited() bool {
	l := &s.st.grant.Limits
	return !l.Quota.IsZero() || s.env.Usages != nil && (l.Day > 0 || l.Month > 0)
}

// spend tells Usages what the session has carried since it did so last.
func (s *Session) spend(now time.Time) (day, month limit.Octets) {
	if l := &s.st.grant.Limits; s.env.Usages == nil || l.Day == 0 && l.Month == 0 {
		return 0, 0
	}
	n := s.Meter().Carried()
	total := n.InOctets + n.OutOctets
	more := total - min(total, s.st.usage.spent)
	s.st.usage.spent = total
	return s.env.Usages.Spend(now, s.st.grant.User, more)
}

// How often quotas are checked: as often as the fastest of connections could use up what is
// left, within these bounds.
const (
	leastCheck  = time.Second
	mostCheck   = time.Minute
	fastest     = 1e9 // bits a second, both ways together
	gardenCheck = time.Minute
)

// checkQuota ends a session whose quota is used up, or puts it into the walled garden, from
// where another day or month may let it out. Otherwise it checks again.
func (s *Session) checkQuota(now time.Time) {
	l, u := &s.st.grant.Limits, &s.st.usage
	n := s.Meter().Carried()
	left, limited := l.Quota.Left(n.InOctets, n.OutOctets)
	day, month := s.spend(now)
	for _, x := range []struct{ limit, used limit.Octets }{{l.Day, day}, {l.Month, month}} {
		if s.env.Usages == nil || x.limit == 0 {
			continue
		}
		if rest := x.limit - min(x.limit, x.used); !limited || rest < left {
			left, limited = rest, true
		}
	}
	if left == 0 && l.Garden == nil {
		u.next = time.Time{}
		s.link.Close(now, ppp.ReasonQuota)
		return
	}
	if u.garden != (left == 0) {
		u.garden = left == 0
		s.limit()
		s.push(Gardened{u.garden})
	}
	if u.garden {
		u.next = now.Add(gardenCheck)
		return
	}
	u.next = now.Add(min(mostCheck, max(leastCheck, limit.Rate(fastest).Time(left))))
}

// limit tells the driver what may pass, if that is not everything or was not before.
func (s *Session) limit() {
	l := Limit{Rates: s.st.grant.Limits.Rates, Filter: s.st.grant.Limits.Filter}
	if s.st.usage.garden {
		l.Filter = s.st.grant.Limits.Garden
	}
	some := !l.Rates.IsZero() || l.Filter != nil
	if some || s.st.usage.told {
		s.push(l)
	}
	s.st.usage.told = some
}
