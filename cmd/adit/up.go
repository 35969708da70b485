package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

func runUp(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "up", "[flags]", "Writes a configuration with a random pre-shared key and a first user if there is none,\nsays what to type into clients, and serves until Ctrl-C, or until its terminal is closed.")
	state := f.String("state", conf.Default().Server.StateDir, "state directory; the configuration is adit.toml in it")
	var public conf.Host
	f.TextVar(&public, "public", conf.Host{}, "`name` or address that clients dial; needed behind NAT")
	user := f.String("user", "vpn", "name of the first user")
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	file := filepath.Join(*state, upConfig)
	made, err := firstConfig(file, *state, public.String(), *user)
	if err != nil {
		return err
	}
	if !made && given(f, "user") {
		return usagef("-user names the first user of a new configuration, but %s is there: adit user add makes further ones", file)
	}
	load := func() (*conf.Config, error) {
		c, err := conf.Load(file, os.Environ())
		if err == nil && public.IsValid() {
			c.Server.Public = public
		}
		return c, err
	}
	c, err := load()
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(s.out, "A configuration with a random pre-shared key and a first user is in %s.\n\n", file)
	}
	if err := instruct(s.out, c, ""); err != nil {
		return err
	}
	if !made && public.IsValid() {
		fmt.Fprintf(s.out, "server.public is %s for as long as this runs; %s keeps what it says.\n\n", public, file)
	}
	ctx, stop := untilHangup(ctx, s.in)
	defer stop()
	return app.Run(ctx, app.Options{Config: c, Load: load, Log: s.err, Version: version})
}

// firstConfig writes a configuration unless there is one, and reports whether
// it did.
func firstConfig(file, state, public, user string) (bool, error) {
	if _, err := os.Stat(file); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := app.CheckState(state); err != nil {
		return false, err // before a file is in it
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return false, fmt.Errorf("cannot make the state directory: %w", err)
	}
	text := fmt.Sprintf(`# Written by adit up. Every other key has a default: see docs/configuration.md.

[server]
state_dir = %q
public = %q

[ipsec]
psk = %q

[[user]]
name = %q
password = %q
`, state, public, random(24), user, random(12))
	if err := conf.WriteNew(file, []byte(text)); err != nil {
		return false, fmt.Errorf("cannot write the configuration: %w", err)
	}
	return true, nil
}
