package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/adit-vpn/adit/test/cmd/lab"
)

// profiles writes the server's heap and goroutine profiles, if profiles are
// wanted.
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

// profileCPU writes a CPU profile of the server for a while, if profiles are
// wanted. The channel is closed when that is done.
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
	body, err := lab.Get(ctx, socket, path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profile, file), body, 0o644)
}
