package conf

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
)

// Allowance is what the sessions of a user, or of a group's users, may have and carry. Zero
// values say nothing.
type Allowance struct {
	Pool           string        `toml:"pool" reload:"new" doc:"name of the [[pool]] that addresses are leased of; empty: network.pool and the like"`
	Upload         limit.Rate    `toml:"upload" reload:"new" doc:"the most that each session sends, as in \"10 Mbit/s\"; empty: no limit"`
	Download       limit.Rate    `toml:"download" reload:"new" doc:"the most that each session receives, as in \"50 Mbit/s\"; empty: no limit"`
	Sessions       int           `toml:"sessions" reload:"new" doc:"sessions of one user at once, in place of limits.sessions_per_user; 0: as there"`
	SessionTimeout time.Duration `toml:"session_timeout" reload:"new" doc:"how long a session lasts at most; 0: for ever"`
	IdleTimeout    time.Duration `toml:"idle_timeout" reload:"new" doc:"silence after which a session ends; 0: never"`
	Hours          []limit.Hours `toml:"hours" reload:"new" doc:"when sessions may be up, in the host's local time, as in \"Mo-Fr 07:00-19:00\"; empty: always"`
	QuotaDay       limit.Octets  `toml:"quota_day" reload:"new" doc:"what one user carries in a day, both ways together, as in \"5 GB\"; empty: no limit"`
	QuotaMonth     limit.Octets  `toml:"quota_month" reload:"new" doc:"the same in a month"`
	QuotaFilter    string        `toml:"quota_filter" reload:"new" doc:"name of the [[filter]] for who has used a quota up, a walled garden; empty: the session ends, and none begins before the next day or month"`
	Filter         string        `toml:"filter" reload:"new" doc:"name of the [[filter]] for what sessions carry"`
}

// Filter is one [[filter]]: what may pass of a session.
type Filter struct {
	Name  string       `toml:"name" reload:"new" doc:"what group.filter, user.filter and Filter-Id name; there with .in or .out behind it, for one direction alone"`
	Rules limit.Filter `toml:"rules" reload:"new" doc:"rules, of which the first that matches decides, as in \"permit in tcp from any to 10.0.0.0/8 443\": in is from the client, out is to it. What matches none passes if its direction's last rule denies, or if it has no rule"`
}

// validateAllowance checks what sessions may have.
func (c *Config) validateAllowance(a *Allowance, fail func(field, format string, args ...any)) {
	for field, name := range map[string]string{"filter": a.Filter, "quota_filter": a.QuotaFilter} {
		if name != "" && c.filter(name) == nil {
			fail(field, "there is no [[filter]] with the name %q%s", name, among(c.Filters, func(f Filter) string { return f.Name }))
		}
	}
	if a.Pool != "" && !slices.ContainsFunc(c.Pools, func(p Pool) bool { return p.Name == a.Pool }) {
		fail("pool", "there is no [[pool]] with the name %q%s", a.Pool, among(c.Pools, func(p Pool) string { return p.Name }))
	}
	if a.Sessions < 0 {
		fail("sessions", "%d is no number of sessions", a.Sessions)
	}
	if a.QuotaFilter != "" && a.QuotaDay == 0 && a.QuotaMonth == 0 {
		fail("quota_filter", "does nothing without quota_day or quota_month")
	}
	for field, d := range map[string]time.Duration{"session_timeout": a.SessionTimeout, "idle_timeout": a.IdleTimeout} {
		if d != 0 && d < time.Second {
			fail(field, "%v is shorter than a second", d)
		}
	}
}

// filter is the filter with a name, nil if there is none.
func (c *Config) filter(name string) *Filter {
	if i := slices.IndexFunc(c.Filters, func(f Filter) bool { return f.Name == name }); i >= 0 {
		return &c.Filters[i]
	}
	return nil
}

// Rules are the rules of the filter with a name, nil for "".
func (c *Config) Rules(name string) limit.Filter {
	if f := c.filter(name); f != nil {
		return f.Rules
	}
	return nil
}

// among lists the names that there are, for errors.
func among[T any](list []T, name func(T) string) string {
	var names []string
	for _, x := range list {
		if n := name(x); n != "" {
			names = append(names, fmt.Sprintf("%q", n))
		}
	}
	if len(names) == 0 {
		return ": there is none at all"
	}
	return ": there are " + strings.Join(names, ", ")
}

func validateFilters(d *decoder, c *Config) {
	seen := map[string]bool{}
	for i, f := range c.Filters {
		key := fmt.Sprintf("filter[%d].", i)
		d.validName(key+"name", f.Name, seen)
		switch {
		case slices.ContainsFunc(c.Groups, func(g Group) bool { return g.Name == f.Name }) && f.Name != "":
			d.fail(key+"name", "%q is a [[group]], too: Filter-Id could mean either, so give it another name", f.Name)
		case len(f.Rules) == 0:
			d.fail(key+"rules", `missing: name one at least, as in ["permit in tcp from any to 10.0.0.0/8 443"]`)
		case len(f.Rules) > limit.MaxRules:
			d.fail(key+"rules", "%d are more than the %d that a filter may have", len(f.Rules), limit.MaxRules)
		}
	}
}

// validName checks the name of a table in a list.
func (d *decoder) validName(key, name string, seen map[string]bool) {
	switch {
	case name == "":
		d.fail(key, "missing")
	case len(name) > maxGroupName:
		d.fail(key, "is longer than %d bytes", maxGroupName)
	case seen[name]:
		d.fail(key, "%q is there twice", name)
	}
	seen[name] = true
}
