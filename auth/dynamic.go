package auth

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"

	"github.com/adit-vpn/adit/internal/limit"
)

// Live is a session that is up, as accounting has told of it.
type Live struct {
	Call    Call
	User    string // by whom it is counted
	Name    string // in accounting
	Address netip.Addr
	IPv6    IPv6
}

// Change is what is changed of sessions that are up. What it does not name stays.
type Change struct {
	Set   Grant        // what is said, as at login: its Filters are names
	Clear func(*Grant) // takes away what that is in place of
}

// Sessions are those of a server, for who may end and change them.
type Sessions interface {
	// Live returns those that match.
	Live(match func(*Live) bool) []Live
	// Disconnect ends those with these ids, and returns how many of them there were: their
	// traffic has stopped by then.
	Disconnect(ctx context.Context, ids []string) (int, error)
	// Change changes all of those, or with an error none, and returns how many there were:
	// the change holds for every packet by then.
	Change(ctx context.Context, ids []string, c Change) (int, error)
}

// Why a session is not changed.
var (
	// ErrUnknownName means that a name stands for nothing.
	ErrUnknownName = errors.New("no [[group]] and no [[filter]] has the name, and it is no rate")
	// ErrProhibited means that the session's user may not have that.
	ErrProhibited = errors.New("the user may not have that")
)

// Override returns g with what a change says in place of its own.
func (g Grant) Override(set Grant) Grant {
	g.Limits = set.Limits.Or(g.Limits)
	g.SessionTimeout, g.IdleTimeout = or(set.SessionTimeout, g.SessionTimeout), or(set.IdleTimeout, g.IdleTimeout)
	g.InterimInterval, g.Until = or(set.InterimInterval, g.InterimInterval), or(set.Until, g.Until)
	if set.Class != nil {
		g.Class = set.Class
	}
	return g
}

// Disinherit returns g without what it has as p says it: what it has of a group that it leaves.
func (g Grant) Disinherit(p Profile) Grant {
	l, of := &g.Limits, p.Limits
	if l.Rates == of.Rates {
		l.Rates = limit.Rates{}
	}
	l.Quota.In, l.Quota.Out, l.Quota.Total = without(l.Quota.In, of.Quota.In), without(l.Quota.Out, of.Quota.Out), without(l.Quota.Total, of.Quota.Total)
	l.Day, l.Month, l.Sessions = without(l.Day, of.Day), without(l.Month, of.Month), without(l.Sessions, of.Sessions)
	if slices.EqualFunc(l.Garden, of.Garden, sameRule) {
		l.Garden = nil
	}
	if slices.EqualFunc(l.Filter, of.Filter, sameRule) {
		l.Filter = nil
	}
	if slices.Equal(l.Hours, of.Hours) {
		l.Hours = nil
	}
	g.SessionTimeout, g.IdleTimeout = without(g.SessionTimeout, p.SessionTimeout), without(g.IdleTimeout, p.IdleTimeout)
	return g
}

func without[T comparable](a, b T) T {
	if a == b {
		var zero T
		return zero
	}
	return a
}

func sameRule(a, b limit.Rule) bool { return reflect.DeepEqual(a, b) }
