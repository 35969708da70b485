package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

// defaultConfig is read where no file is named, if it exists: containers mount
// it there.
const defaultConfig = "/etc/adit/adit.toml"

// upConfig is what adit up writes into the state directory.
const upConfig = "adit.toml"

func runServe(ctx context.Context, s streams, args []string) error {
	f := newFlags(s, "serve", "[-c FILE]", "Serves until SIGTERM or SIGINT, which say goodbye to every client. SIGHUP reads the configuration again.")
	file := fileFlag(f, defaultConfig+" if it exists")
	if done, err := parseOnlyFlags(f, args); done {
		return err
	}
	load := func() (*conf.Config, error) { return loadConfig(*file, defaultConfig) }
	c, err := load()
	if err != nil {
		return err
	}
	return app.Run(ctx, app.Options{Config: c, Load: load, Log: s.err, Version: version})
}

// findConfig is the configuration that a command without -c is about: that of
// the state directory if one is named, else defaultConfig, else what adit up
// wrote. It is empty if there is none.
func findConfig(state string) string {
	up := filepath.Join(conf.Default().Server.StateDir, upConfig)
	candidates := []string{defaultConfig, up}
	if state != "" {
		candidates = []string{filepath.Join(state, upConfig)}
	}
	for _, file := range candidates {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// loadConfig reads file; if none is named, fallback, if that exists. The
// environment overrides both, and may be all there is.
func loadConfig(file, fallback string) (*conf.Config, error) {
	if file == "" {
		switch _, err := os.Stat(fallback); {
		case err == nil:
			file = fallback
		case !errors.Is(err, fs.ErrNotExist):
			return nil, errUsage{err}
		}
	}
	return conf.Load(file, os.Environ())
}
