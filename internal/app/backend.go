package app

import (
	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/vpn"
)

// backend is who authenticates and who keeps accounts.
func (a *instance) backend(c *conf.Config, cleanup *closers) (auth.Backend, auth.Accountant, error) {
	if c.Auth.Backend == "local" {
		a.local = auth.NewLocal(localUsers(c))
		return a.local, nil, nil
	}
	cfg := radiusConfig(c)
	cfg.Problem = func(text string) { a.log.WithField("reason", bounded(text, errorLimit)).Warn("RADIUS accounting") }
	client, err := radius.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	cleanup.add(client.Close)
	return client, client, nil
}

// radiusConfig is what a client of the RADIUS servers works with.
func radiusConfig(c *conf.Config) radius.Config {
	cfg := radius.Config{
		NASIdentifier: c.Radius.NASIdentifier, Timeout: c.Radius.Timeout, Tries: c.Radius.Tries,
		AllowUnsigned: c.Radius.AllowUnsigned,
	}
	for _, s := range c.Radius.Servers {
		cfg.Servers = append(cfg.Servers, radius.Server{Address: s.Address, Accounting: s.Accounting, Secret: s.Secret})
	}
	return cfg
}

// observer turns the server's decisions into logs and counters.
func (a *instance) observer(claims claimer) vpn.Observer {
	return &events{log: a.log, meter: a.meter, claims: claims}
}
