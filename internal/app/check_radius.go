package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/conf"
)

// checkRadius asks every RADIUS server whether it is there, all at once.
func checkRadius(ctx context.Context, c *conf.Config) []Finding {
	cfg, err := radiusConfig(c)
	if err != nil {
		return []Finding{{What: "certificates for RADIUS over TLS", Err: err}}
	}
	return checkRadiusServers(ctx, cfg)
}

func checkRadiusServers(ctx context.Context, cfg radius.Config) []Finding {
	found := make([][]Finding, len(cfg.Servers))
	var all sync.WaitGroup
	for i, s := range cfg.Servers {
		all.Go(func() { found[i] = checkRadiusServer(ctx, cfg, s) })
	}
	all.Wait()
	var list []Finding
	for _, f := range found {
		list = append(list, f...)
	}
	return list
}

func checkRadiusServer(ctx context.Context, cfg radius.Config, s radius.Server) (list []Finding) {
	if s.Address != "" {
		by, err := radius.Probe(ctx, cfg, s)
		f := Finding{What: "RADIUS server " + s.Address, Err: err}
		switch {
		case err == nil:
			f.What += ": answers " + by
		case errors.Is(err, radius.ErrNoAnswer):
			f.Err = whyNoAnswer(err)
		}
		if list = append(list, f); err != nil {
			return list
		}
	}
	if s.Accounting == "" || s.TLS != nil && s.Accounting == s.Address {
		return list
	}
	if err := radius.ProbeAccounting(ctx, cfg, s); err == nil {
		list = append(list, Finding{What: "RADIUS accounting at " + s.Accounting + ": answers Status-Server"})
	} else {
		list = append(list, Finding{Warning: true, What: fmt.Sprintf(
			"RADIUS accounting at %s does not answer a Status-Server (%v): where the server knows none, as NPS, that means nothing", s.Accounting, err)})
	}
	return list
}

// whyNoAnswer adds to an error what else may be the cause, and what to do. If a server is
// silent, there are two more causes than the error names. A network error already says
// what the host knows.
func whyNoAnswer(err error) error {
	var network syscall.Errno
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the host is there, and nothing listens on that port: start the RADIUS server, or correct the address and port", err)
	case errors.As(err, &network):
		return fmt.Errorf("%w: correct the address, or this host's routes and firewall", err)
	}
	return fmt.Errorf("%w, if it is switched off, or if a firewall drops the packets of either way", err)
}
