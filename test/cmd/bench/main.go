// Bench measures the whole program, server and clients in network namespaces of
// their own, and prints the tables of the README. It asserts nothing. It needs
// root, and cleans up behind itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	rig     *rig
	n       int           // idle sessions
	idle    time.Duration // how long they are watched
	repeat  int
	profile string

	rows []row
}

// row is one line of the result.
type row struct {
	Figure, Value, Aim, How string
}

func (b *bench) add(figure, value, aim, how string) {
	b.rows = append(b.rows, row{figure, value, aim, how})
	fmt.Fprintf(os.Stderr, "%s: %s\n", figure, value)
}

func run(ctx context.Context) error {
	only := flag.String("only", "idle,connect,storm,throughput", "the parts to run")
	file := flag.String("json", "", "write the figures to this file, too")
	b := &bench{}
	flag.IntVar(&b.n, "n", 10000, "idle sessions")
	flag.DurationVar(&b.idle, "idle", time.Minute, "how long they are watched")
	flag.IntVar(&b.repeat, "repeat", 3, "repetitions, of which the median counts")
	flag.StringVar(&b.profile, "profile", "", "write profiles of the server to this directory")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	parts := []struct {
		name string
		run  func(context.Context) error
	}{{"idle", b.runIdle}, {"connect", b.runConnect}, {"storm", b.runStorm}, {"throughput", b.runThroughput}}
	wanted := strings.Split(*only, ",")
	for _, w := range wanted {
		if !slices.ContainsFunc(parts, func(p struct {
			name string
			run  func(context.Context) error
		}) bool {
			return p.name == w
		}) {
			return fmt.Errorf("there is no part %q", w)
		}
	}
	dir, err := os.MkdirTemp("", "adit-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(ctx, dir); err != nil {
		return err
	}
	if b.rig, err = newRig(ctx, dir, b.profile != ""); err != nil {
		return err
	}
	defer b.rig.close()
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, errors.Join(err, ctx.Err()))
		}
	}
	facts := machine(ctx)
	printTable(os.Stdout, facts, b.rows)
	if *file == "" {
		return nil
	}
	out, err := json.MarshalIndent(map[string]any{"machine": facts, "figures": b.rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(out, '\n'), 0o644)
}

// build makes the two programs, the server as it is released.
func build(ctx context.Context, dir string) error {
	for _, name := range []string{"adit", "load"} {
		from := "./cmd/adit"
		if name == "load" {
			from = "./test/cmd/load"
		}
		c := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", filepath.Join(dir, name), from)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("go build %s: %w", from, err)
		}
	}
	return nil
}
