package app

import (
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
)

// backend returns what authenticates users and what takes accounting records.
func (a *instance) backend(c *conf.Config, cleanup *closers) (auth.Backend, auth.Accountant, error) {
	if c.Auth.Backend == conf.BackendLocal {
		a.local = auth.NewLocalWith(localUsers(c), a.usedCodes(c.Server.StateDir))
		a.local.Changed = a.changePassword
		if !accounted(c) {
			return a.guarded(a.withEAP(a.links.Callers(a.local))), nil, nil
		}
	}
	cfg, err := radiusConfig(c)
	if err != nil {
		return nil, nil, err
	}
	cfg.Ledger = filepath.Join(c.Server.StateDir, booksFile)
	cfg.Problem = func(text string) { a.log.WithField("reason", bounded(text, errorLimit)).Warn("RADIUS accounting") }
	cfg.News = func(text string) { a.log.WithField("reason", bounded(text, errorLimit)).Info("RADIUS accounting") }
	cfg.Event, cfg.Asked, cfg.Dial = a.radiusChanged, a.asked, a.opts.RadiusDial
	a.radius, err = radius.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	cleanup.add(a.radius.Close)
	if a.local != nil {
		return a.guarded(a.withEAP(a.links.Callers(a.local))), a.radius, nil
	}
	return a.guarded(a.links.Callers(a.radius)), a.radius, nil
}

// guarded slows the guessing of passwords down, but for networks that are exempt.
func (a *instance) guarded(b auth.Backend) auth.Backend {
	a.guard = auth.NewGuard(b)
	a.guard.Exempt = func(from netip.Addr) bool {
		in := func(p netip.Prefix) bool { return p.Contains(from.Unmap()) }
		return slices.ContainsFunc(a.config.Load().Limits.GuessExempt, in)
	}
	return a.guard
}

// observer turns the server's decisions into logs and counters.
func (a *instance) observer(claims claimer) vpn.Observer {
	return &events{log: a.log, meter: a.meter, claims: claims, links: a.links}
}

// NTHash is the NT hash of a password.
func NTHash(password secret.Bytes) (conf.NTHash, error) {
	hash, err := auth.NTHash(password.Reveal())
	if err != nil {
		return conf.NTHash{}, err
	}
	return conf.NTHash{Bytes: secret.New(hash)}, nil
}

// usersWithHash is how many local users have no more than an NT hash.
func usersWithHash(c *conf.Config) (n int) {
	for i := range c.Users {
		if c.Users[i].NTHash.Len() > 0 {
			n++
		}
	}
	return n
}
