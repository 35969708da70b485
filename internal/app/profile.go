package app

import (
	"slices"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/limit"
)

// profile is what the configuration gives a group or a user.
func profile(c *conf.Config, a *conf.Allowance, s auth.Settings) auth.Profile {
	return auth.Profile{
		Settings: s,
		Limits: auth.Limits{
			Rates: limit.Rates{In: a.Upload, Out: a.Download}, Day: a.QuotaDay, Month: a.QuotaMonth,
			Garden: c.Rules(a.QuotaFilter), Filter: c.Rules(a.Filter), Hours: a.Hours, Sessions: a.Sessions,
		},
		Pools:          poolsOf(c, a.Pool),
		SessionTimeout: a.SessionTimeout,
		IdleTimeout:    a.IdleTimeout,
	}
}

// poolsOf are the kinds that a pool with a name has; of others the common ones count.
func poolsOf(c *conf.Config, name string) (p auth.Pools) {
	i := slices.IndexFunc(c.Pools, func(p conf.Pool) bool { return p.Name == name })
	if i < 0 {
		return p
	}
	if len(c.Pools[i].Addresses) > 0 {
		p.IPv4 = name
	}
	if len(c.Pools[i].Addresses6) > 0 {
		p.IPv6 = name
	}
	if c.Pools[i].Delegate6.IsValid() {
		p.Delegated = name
	}
	return p
}

// filters are the rules of each filter.
func filters(c *conf.Config) map[string]limit.Filter {
	all := make(map[string]limit.Filter, len(c.Filters))
	for _, f := range c.Filters {
		all[f.Name] = f.Rules
	}
	return all
}
