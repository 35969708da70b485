package main

import (
	"context"
	"os"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

func runServe(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "serve", "[-c FILE]", "Serves until SIGTERM or SIGINT, which say goodbye to every client. SIGHUP reads the configuration again.")
	file := f.String("c", "", "configuration file; without it, the environment alone (ADIT_…)")
	if done, err := parse(f, args); done {
		return err
	}
	if f.NArg() > 0 {
		return usagef("serve takes no arguments: use -c FILE")
	}
	load := func() (*conf.Config, error) { return conf.Load(*file, os.Environ()) }
	c, err := load()
	if err != nil {
		return err
	}
	return app.Run(ctx, app.Options{Config: c, Load: load, Log: s.err, Version: version})
}
