package session

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
)

// into is a change into a group.
func into(group string) auth.Change {
	return auth.Change{Set: auth.Grant{Filters: []string{group}}, Clear: func(*auth.Grant) {}}
}

// A session that changes its group leaves that group's hours and is bound by those of the next;
// the time until which the server grants the service is its own, and stays.
func TestAChangeOfTheGroupKeepsTheEndOfTheService(t *testing.T) {
	hours := func(at time.Time, from time.Duration) auth.Profile {
		return auth.Profile{Limits: auth.Limits{Hours: []limit.Hours{hoursAround(at.Add(from))}}}
	}
	for name, tt := range map[string]struct {
		until time.Duration // granted; 0: none
		group string
		ends  time.Duration
	}{
		"granted, and no hours":    {30 * time.Minute, "free", 30 * time.Minute},
		"granted before hours end": {30 * time.Minute, "late", 30 * time.Minute},
		"granted after hours end":  {3 * time.Hour, "late", 90 * time.Minute},
		"no hours any more":        {0, "free", 0},
		"other hours":              {0, "late", 90 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) {
				r.policy.Groups = map[string]auth.Profile{"day": hours(r.now, 0), "late": hours(r.now, 30*time.Minute), "free": {}}
				r.grant.Group = "day"
				if tt.until > 0 {
					r.grant.Until = r.now.Add(tt.until)
				}
			}).start()
			begin := r.now
			if err := r.s.Change(r.now, into(tt.group), Bound{}); err != nil {
				t.Fatal(err)
			}
			for r.now.Sub(begin) < 4*time.Hour && len(all[Down](r)) == 0 {
				r.pass(time.Minute)
			}
			passed := r.now.Sub(begin)
			if down := len(all[Down](r)) != 0; down != (tt.ends > 0) || down && (passed-tt.ends).Abs() > 2*time.Minute {
				t.Errorf("down: %v, after %v; want %v", down, passed, tt.ends)
			}
		})
	}
}

// Rules, and filters by name, are those of a change together, as in an Access-Accept, and in the
// same order: what there was goes.
func TestRulesAndNamesOfAChangeBothCount(t *testing.T) {
	old, own, named := filterOf(t, "deny in ip from any to any"), filterOf(t, "permit in ip from any to 10.1.0.0/16"), filterOf(t, "permit in ip from any to 10.2.0.0/16")
	both := append(own[:1:1], named...)
	for name, tt := range map[string]struct {
		set  auth.Grant
		want limit.Filter
	}{
		"rules and a filter":          {auth.Grant{Limits: auth.Limits{Filter: own}, Filters: []string{"office"}}, both},
		"a filter":                    {auth.Grant{Filters: []string{"office"}}, named},
		"a group and rules":           {auth.Grant{Limits: auth.Limits{Filter: own}, Filters: []string{"staff"}}, own},
		"a group":                     {auth.Grant{Filters: []string{"staff"}}, old},
		"a group, rules and a filter": {auth.Grant{Limits: auth.Limits{Filter: own}, Filters: []string{"office", "staff"}}, both},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) {
				r.policy.Groups = map[string]auth.Profile{"staff": {Limits: auth.Limits{Filter: old}}}
				r.policy.Filters = map[string]limit.Filter{"office": named}
				r.grant.Limits.Filter = old
			}).start()
			clear := func(g *auth.Grant) {
				if tt.set.Limits.Filter != nil {
					g.Limits.Filter = nil
				}
			}
			if err := r.s.Change(r.now, auth.Change{Set: tt.set, Clear: clear}, Bound{}); err != nil {
				t.Fatal(err)
			}
			if got := r.s.st.grant.Limits.Filter; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("the filter is %v, want %v", got, tt.want)
			}
			if g, _ := r.policy.Resolve(tt.set); !reflect.DeepEqual(g.Limits.Filter, tt.want) {
				t.Errorf("at login it is %v", g.Limits.Filter)
			}
		})
	}
}

// The device of a session is what it was at login, also where IPCP begins anew: a group with
// another one is refused.
func TestASessionKeepsItsDevice(t *testing.T) {
	for name, tt := range map[string]struct {
		own    bool // the user's
		from   string
		to     string
		denied bool
	}{
		"none, and none":   {false, "a", "b", false},
		"none, and one":    {false, "a", "own", true},
		"one, and none":    {false, "own", "a", true},
		"one, and one":     {false, "own", "own2", false},
		"the user's":       {true, "a", "own", false},
		"the user's still": {true, "a", "b", false},
	} {
		t.Run(name, func(t *testing.T) {
			own := auth.Profile{Settings: auth.Settings{OwnDevice: true}}
			r := newRig(t, func(r *rig) {
				r.policy.Groups = map[string]auth.Profile{"a": {}, "b": {}, "own": own, "own2": own}
				r.grant.Group, r.grant.OwnDevice = tt.from, tt.own
			}).start()
			had := r.s.wire() != nil
			if had != (tt.own || tt.from != "a") {
				t.Errorf("it has a device: %v", had)
			}
			if err := r.s.Change(r.now, into(tt.to), Bound{}); errors.Is(err, auth.ErrProhibited) != tt.denied || !tt.denied && err != nil {
				t.Errorf("the change: %v", err)
			}
			if got := r.s.wire() != nil; got != had {
				t.Errorf("it has a device now: %v", got)
			}
		})
	}
}

// A user who authenticates again may be of another group by then, and the session keeps its device.
func TestARenewedSessionKeepsItsDevice(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.policy.Groups = map[string]auth.Profile{"a": {}, "own": {Settings: auth.Settings{OwnDevice: true}}}
		r.grant.Group, r.grant.SessionTimeout, r.grant.Again = "a", time.Hour, &auth.Again{}
	}).start()
	r.grant.Group = "own"
	r.pass(61 * time.Minute)
	if g := r.s.st.grant; !r.s.Up() || g.Group != "own" || r.s.wire() != nil {
		t.Errorf("up: %v, the group is %q, and its device is %+v", r.s.Up(), g.Group, r.s.wire())
	}
}
