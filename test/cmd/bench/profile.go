package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profiles writes what the server holds, if profiles are wanted.
func (b *bench) profiles(ctx context.Context, socket, name string) error {
	if b.profile == "" {
		return nil
	}
	for _, kind := range []string{"heap", "goroutine"} {
		if err := b.fetch(ctx, socket, "/debug/pprof/"+kind+"?gc=1", name+"."+kind); err != nil {
			return err
		}
	}
	return nil
}

// profileCPU writes what the server does for a while, if profiles are wanted.
// The channel is closed when that is done.
func (b *bench) profileCPU(ctx context.Context, socket, name string, d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if b.profile == "" {
			return
		}
		if err := b.fetch(ctx, socket, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds()))), name+".cpu"); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}()
	return done
}

func (b *bench) fetch(ctx context.Context, socket, path, file string) error {
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return err
	}
	body, err := get(ctx, socket, path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profile, file), body, 0o644)
}

// get asks a server that is started as load serve.
func get(ctx context.Context, socket, path string) ([]byte, error) {
	var d net.Dialer
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}
