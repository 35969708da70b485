package main

import (
	"context"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

// runServe is adit serve with profiles, which the product has not.
func runServe(ctx context.Context, o options) error {
	load := func() (*conf.Config, error) { return conf.Load(o.config, os.Environ()) }
	c, err := load()
	if err != nil {
		return err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", o.pprof)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	server := http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Close() }()
	return app.Run(ctx, app.Options{Config: c, Load: load, Log: os.Stderr, Version: "profiled"})
}
