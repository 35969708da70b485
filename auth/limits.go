package auth

import (
	"time"

	"github.com/adit-vpn/adit/internal/limit"
)

// Limits are what the sessions of a user may carry, and when there may be any. A user's
// override the group's; zero values override nothing.
type Limits struct {
	Rates    limit.Rates
	Quota    limit.Volume  // of one session
	Day      limit.Octets  // of all sessions of the user in a day, both ways together
	Month    limit.Octets  // the same in a month
	Garden   limit.Filter  // in place of Filter when a quota is used up; nil: the session ends
	Filter   limit.Filter  // nil: not said
	Hours    []limit.Hours // nil: not said, or always
	Sessions int           // of the user at once
}

// Or returns l with its zero values replaced by those of o.
func (l Limits) Or(o Limits) Limits {
	l.Rates = l.Rates.Or(o.Rates)
	l.Quota.In, l.Quota.Out, l.Quota.Total = or(l.Quota.In, o.Quota.In), or(l.Quota.Out, o.Quota.Out), or(l.Quota.Total, o.Quota.Total)
	l.Day, l.Month, l.Sessions = or(l.Day, o.Day), or(l.Month, o.Month), or(l.Sessions, o.Sessions)
	if l.Garden == nil {
		l.Garden = o.Garden
	}
	if l.Filter == nil {
		l.Filter = o.Filter
	}
	if l.Hours == nil {
		l.Hours = o.Hours
	}
	return l
}

func or[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}

// Pools are the names of the pools that a user's addresses are leased of, "" for the common
// ones.
type Pools struct {
	IPv4      string
	IPv6      string // addresses and prefixes of links
	Delegated string // prefixes for networks behind clients
}

// Profile is what users have in common: a group's, or what one user has for all sessions.
// Zero values say nothing.
type Profile struct {
	Settings
	Limits         Limits
	Pools          Pools
	SessionTimeout time.Duration
	IdleTimeout    time.Duration
}

// Inherit returns g with what it does not say as p has it, but for the Settings.
func (g Grant) Inherit(p Profile) Grant {
	g.Limits = g.Limits.Or(p.Limits)
	g.Pools = Pools{or(g.Pools.IPv4, p.Pools.IPv4), or(g.Pools.IPv6, p.Pools.IPv6), or(g.Pools.Delegated, p.Pools.Delegated)}
	g.SessionTimeout, g.IdleTimeout = or(g.SessionTimeout, p.SessionTimeout), or(g.IdleTimeout, p.IdleTimeout)
	return g
}
