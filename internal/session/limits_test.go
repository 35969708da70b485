package session

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/ppp"
)

// sums is Usages.
type sums struct{ day, month limit.Octets }

func (s *sums) Spend(_ time.Time, _ string, octets uint64) (day, month limit.Octets) {
	s.day, s.month = s.day+limit.Octets(octets), s.month+limit.Octets(octets)
	return s.day, s.month
}

func filterOf(t testing.TB, text string) limit.Filter {
	t.Helper()
	f := make(limit.Filter, 1)
	if err := f[0].UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return f
}

// What a grant names is what the policy has by that name, and what it does not say its group
// says.
func TestAGrantIsResolved(t *testing.T) {
	in, out := filterOf(t, "deny in ip from any to 10.0.0.0/8"), filterOf(t, "deny out ip from 10.0.0.0/8 to any")
	p := &Policy{
		Groups: map[string]auth.Profile{
			"staff": {Limits: auth.Limits{Rates: limit.Rates{In: 1e6, Out: 2e6}, Sessions: 3, Filter: in}, Pools: auth.Pools{IPv4: "desks"}, SessionTimeout: time.Hour},
			"100":   {Limits: auth.Limits{Sessions: 1}},
		},
		Filters: map[string]limit.Filter{"office": append(in[:1:1], out...), "b.out": in},
	}
	for name, x := range map[string]struct {
		grant auth.Grant
		check func(auth.Grant) bool
		warns string
	}{
		"nothing": {auth.Grant{}, func(g auth.Grant) bool { return reflect.DeepEqual(g, auth.Grant{}) }, ""},
		"a group": {auth.Grant{Filters: []string{"staff"}}, func(g auth.Grant) bool {
			return g.Group == "staff" && g.Limits.Rates.Out == 2e6 && g.Pools.IPv4 == "desks" && g.SessionTimeout == time.Hour && len(g.Limits.Filter) == 1
		}, ""},
		"its own first": {auth.Grant{Filters: []string{"staff"}, SessionTimeout: time.Minute, Pools: auth.Pools{IPv4: "x"}, Limits: auth.Limits{Rates: limit.Rates{Out: 9e6}, Sessions: 1}}, func(g auth.Grant) bool {
			return g.Limits.Rates == limit.Rates{In: 1e6, Out: 9e6} && g.Pools.IPv4 == "x" && g.SessionTimeout == time.Minute && g.Limits.Sessions == 1
		}, ""},
		"two groups": {auth.Grant{Filters: []string{"staff", "100"}}, func(g auth.Grant) bool { return g.Group == "staff" }, `the group "100" is passed over`},
		"a filter":   {auth.Grant{Filters: []string{"office"}}, func(g auth.Grant) bool { return len(g.Limits.Filter) == 2 && g.Group == "" }, ""},
		"a group and a filter": {auth.Grant{Filters: []string{"office", "staff"}}, func(g auth.Grant) bool {
			return len(g.Limits.Filter) == 2 && g.Group == "staff"
		}, ""},
		"one way":          {auth.Grant{Filters: []string{"office.out"}}, func(g auth.Grant) bool { return len(g.Limits.Filter) == 1 && g.Limits.Filter[0].Out }, ""},
		"a name with .out": {auth.Grant{Filters: []string{"b.out"}}, func(g auth.Grant) bool { return len(g.Limits.Filter) == 1 && !g.Limits.Filter[0].Out }, ""},
		"each way":         {auth.Grant{Filters: []string{"office.in", "office.out"}}, func(g auth.Grant) bool { return len(g.Limits.Filter) == 2 }, ""},
		"rates":            {auth.Grant{Filters: []string{"2000/3000"}}, func(g auth.Grant) bool { return g.Limits.Rates == limit.Rates{In: 3e6, Out: 2e6} }, ""},
		"a group like one": {auth.Grant{Filters: []string{"100"}}, func(g auth.Grant) bool { return g.Group == "100" && g.Limits.Rates.IsZero() }, ""},
		"unknown":          {auth.Grant{Filters: []string{"stuff"}}, func(g auth.Grant) bool { return g.Group == "" }, `Filter-Id "stuff" does nothing: no [[group]] and no [[filter]]`},
	} {
		g, warnings := p.Resolve(x.grant)
		if !x.check(g) || strings.Contains(strings.Join(warnings, "\n"), x.warns) != true || (x.warns == "") != (len(warnings) == 0) {
			t.Errorf("%s: %+v, %q", name, g, warnings)
		}
	}
	if len(p.Filters["office"]) != 2 || cap(in) != 1 {
		t.Error("a filter of the policy has changed")
	}
}

// Who may not come in has nothing, and the administrator reads why.
func TestWhoIsNotAdmittedNow(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*rig)
		detail string
	}{
		"other hours":         {func(r *rig) { r.grant.Limits.Hours = []limit.Hours{hoursAround(r.now.Add(6 * time.Hour))} }, "outside of the hours"},
		"the day is used up":  {func(r *rig) { r.grant.Limits.Day = 1000; r.usages = &sums{day: 1000, month: 1000} }, "quota is used up: 1 kB a day"},
		"the month":           {func(r *rig) { r.grant.Limits.Month = 5e9; r.usages = &sums{month: 6e9} }, "5 GB a month"},
		"the service is over": {func(r *rig) { r.grant.Until = r.now.Add(-time.Minute) }, "is over"},
		"no such pool":        {func(r *rig) { r.grant.Pools.IPv4 = "desks" }, `there is no [[pool]] of that kind with the name "desks"`},
		"Port-Limit":          {func(r *rig) { r.grant.Limits.Sessions = 2; r.book.users[user] = 2 }, "Port-Limit"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.change)
			r.start()
			if j := one[Judged](r); j.Verdict != auth.NotAllowed || !strings.Contains(j.Detail, tt.detail) {
				t.Errorf("judged %+v", j)
			}
			if len(all[Up](r)) != 0 {
				t.Error("it was up")
			}
		})
	}
}

// hoursAround are two hours of every day with a time in their middle.
func hoursAround(at time.Time) limit.Hours {
	from := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute - time.Hour
	if from < 0 {
		from += 24 * time.Hour
	}
	return limit.Hours{Days: [7]bool{true, true, true, true, true, true, true}, From: from, To: from + 2*time.Hour}
}

// A session ends when what it may have is used up, with the cause that says so.
func TestASessionEndsWhenItsQuotaIsUsedUp(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*rig)
		cause  auth.Cause
		link   ppp.Reason
		within time.Duration
	}{
		"from the client":    {func(r *rig) { r.grant.Limits.Quota.In = 50e6 }, auth.NASRequest, ppp.ReasonQuota, 52 * time.Second},
		"to the client":      {func(r *rig) { r.grant.Limits.Quota.Out = 100e6 }, auth.NASRequest, ppp.ReasonQuota, 52 * time.Second},
		"both":               {func(r *rig) { r.grant.Limits.Quota.Total = 30e6 }, auth.NASRequest, ppp.ReasonQuota, 12 * time.Second},
		"of a day":           {func(r *rig) { r.grant.Limits.Day = 90e6; r.usages = &sums{day: 60e6} }, auth.NASRequest, ppp.ReasonQuota, 12 * time.Second},
		"of a month":         {func(r *rig) { r.grant.Limits.Month = 90e6; r.usages = &sums{month: 60e6} }, auth.NASRequest, ppp.ReasonQuota, 12 * time.Second},
		"the end of service": {func(r *rig) { r.grant.Until = r.now.Add(40 * time.Second) }, auth.SessionTimeout, ppp.ReasonSessionTimeout, 42 * time.Second},
		"the end of hours":   {func(r *rig) { r.grant.Limits.Hours = []limit.Hours{hoursAround(r.now)} }, auth.SessionTimeout, ppp.ReasonSessionTimeout, 61 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.change).start()
			begin := one[Up](r).Since
			for r.now.Sub(begin) < 2*time.Hour && len(all[Down](r)) == 0 {
				r.traffic.InOctets += 1e6
				r.traffic.OutOctets += 2e6
				r.pass(time.Second)
			}
			if d := one[Down](r); d.Cause != tt.cause || d.Link != tt.link {
				t.Errorf("down: %v, %v", d.Cause, d.Link)
			}
			if passed := r.now.Sub(begin); passed > tt.within+5*time.Second || passed < tt.within/2 {
				t.Errorf("it ended after %v, want about %v", passed, tt.within)
			}
			if l, ok := r.usages.(*sums); ok && max(l.day, l.month) < 90e6 {
				t.Errorf("there is %+v", l)
			}
		})
	}
}

// In the walled garden a session goes on with another filter, and leaves it when there is a
// quota again.
func TestAWalledGarden(t *testing.T) {
	l := &sums{}
	own, garden := filterOf(t, "deny in ip from any to 10.0.0.0/8"), filterOf(t, "permit in tcp from any to 10.83.0.1 80")
	r := newRig(t, func(r *rig) {
		r.grant.Limits = auth.Limits{Day: 10e6, Garden: garden, Filter: own, Rates: limit.Rates{In: 1e6}}
		r.usages = l
	}).start()
	r.traffic.OutOctets = 20e6
	r.pass(2 * time.Minute)
	l.day = 0 // another day
	r.pass(2 * time.Minute)
	want := []Event{
		Limit{limit.Rates{In: 1e6}, own}, Limit{limit.Rates{In: 1e6}, garden}, Gardened{true}, Limit{limit.Rates{In: 1e6}, own}, Gardened{false},
	}
	var got []Event
	for _, e := range r.events {
		switch e.(type) {
		case Limit, Gardened:
			got = append(got, e)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(all[Down](r)) != 0 {
		t.Error("it ended")
	}
	l.day, l.month = 10e6, 10e6
	if r = newRig(t, func(r *rig) { r.grant.Limits = auth.Limits{Day: 10e6, Garden: garden}; r.usages = l }).start(); len(all[Gardened](r)) != 1 {
		t.Error("who comes in with nothing left is not in the garden")
	}
}

// Who leaves the walled garden is watched as anybody else: the new quota lasts no longer.
func TestTheQuotaBehindTheGardenIsChecked(t *testing.T) {
	l := &sums{day: 200e6}
	r := newRig(t, func(r *rig) {
		r.grant.Limits = auth.Limits{Day: 100e6, Garden: filterOf(t, "permit in tcp from any to 10.83.0.1 80")}
		r.usages = l
	}).start()
	l.day = 0 // midnight
	for n := 0; n < 120 && len(all[Gardened](r)) < 2; n++ {
		r.pass(time.Second)
	}
	r.traffic.InOctets += 3e9
	r.pass(5 * time.Second)
	if got := all[Gardened](r); len(got) != 3 || !got[2].In {
		t.Errorf("it is %+v", got)
	}
}

// A session of who is not limited says nothing of limits, and what another user of the same
// link was limited to does not stay.
func TestLimitsAreToldWhereThereAreAny(t *testing.T) {
	r := newRig(t).start()
	if n := len(all[Limit](r)); n != 0 {
		t.Errorf("%d limits of who has none", n)
	}
	if at := r.s.Deadline(); at.IsZero() || at.Sub(r.now) > time.Hour {
		t.Errorf("the next deadline is %v", at)
	}
}
