// Bench measures the whole program, with servers and clients in network namespaces
// of their own, prints tables and draws the chart of the README. It asserts
// nothing. It needs root, and cleans up after itself. docs/performance.md says
// what is measured, and how.
package main

import (
	"context"
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

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run, and its result.
type bench struct {
	report.Report
	rig     *rig
	n       int           // idle sessions
	idle    time.Duration // how long they are observed
	repeat  int
	watch   time.Duration // how long one transfer is measured
	lanes   []string      // the contestants of bulk transfers, by their keys; empty: all
	profile string

	said []*report.Figure
}

// wants reports whether a contestant takes part.
func (b *bench) wants(key string) bool { return len(b.lanes) == 0 || slices.Contains(b.lanes, key) }

type part struct {
	name string
	run  func(context.Context) error
}

func (b *bench) parts() []part {
	return []part{{"bulk", b.runBulk}, {"udp", b.runUDP}, {"sessions", b.runSessions}, {"latency", b.runLatency}, {"server", b.runServer}, {"guest", b.runGuest}, {"idle", b.runIdle}, {"connect", b.runConnect}, {"storm", b.runStorm}}
}

func run(ctx context.Context) error {
	b := &bench{}
	var names []string
	for _, p := range b.parts() {
		names = append(names, p.name)
	}
	var keys []string
	for _, c := range contestants() {
		keys = append(keys, c.key)
	}
	only := flag.String("only", strings.Join(names, ","), "the parts to run")
	lanes := flag.String("contestants", "", "the contestants of the part bulk, where bare is not a tunnel: all, or some of "+strings.Join(keys, ","))
	file := flag.String("json", "", "write the figures to this file, too")
	chart := flag.String("svg", "", "draw the chart to this file, if the run is whole: not -quick, nothing shortened or left out of bulk, and nothing failed")
	quick := flag.Bool("quick", false, "fewer and shorter measurements, of fewer things: some three minutes")
	flag.IntVar(&b.n, "n", 10000, "how many idle sessions there are in the part idle")
	flag.DurationVar(&b.idle, "idle", time.Minute, "how long the part idle watches idle sessions")
	flag.IntVar(&b.repeat, "repeat", wholeRepeat, "repetitions, of which the median counts")
	flag.DurationVar(&b.watch, "watch", wholeWatch, "how long a transfer is watched")
	flag.StringVar(&b.profile, "profile", "", "write profiles of our server to this directory")
	flag.Parse()
	if *lanes != "" {
		b.lanes = strings.Split(*lanes, ",")
	}
	if *quick {
		b.quicken(only)
	}
	if err := known("part", strings.Split(*only, ","), names); err != nil {
		return err
	}
	if err := known("contestant", b.lanes, keys); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	unlock, err := alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	failed := b.measure(ctx, strings.Split(*only, ","))
	if len(b.Tables) == 0 {
		return failed
	}
	if why := b.partial(strings.Split(*only, ","), errors.Join(failed, ctx.Err())); why != "" && *chart != "" {
		fmt.Fprintf(os.Stderr, "%s stays as it is: %s\n", *chart, why)
		*chart = ""
	}
	return errors.Join(failed, b.publish(*file, *chart))
}

// A whole run repeats each transfer this often, and measures each one for this
// long.
const (
	wholeRepeat = 5
	wholeWatch  = 2 * time.Second
)

// partial says why a run is not complete enough to draw the chart that is
// published. It is "" if it is.
func (b *bench) partial(parts []string, failed error) string {
	switch {
	case failed != nil:
		return "not everything was measured"
	case !slices.Contains(parts, "bulk"):
		return "bulk was not measured"
	case len(b.lanes) > 0:
		return "not all contestants took part"
	case b.repeat < wholeRepeat || b.watch < wholeWatch:
		return "the run was a short one"
	}
	return ""
}

// quicken makes the run a short one, except where flags say otherwise.
func (b *bench) quicken(only *string) {
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["only"] {
		*only = "bulk,udp,sessions,latency,server"
	}
	if !given["contestants"] {
		b.lanes = quickly
	}
	if !given["repeat"] {
		b.repeat = 1
	}
	if !given["watch"] {
		b.watch = time.Second
	}
	if !given["n"] {
		b.n = 1000
	}
	if !given["idle"] {
		b.idle = 10 * time.Second
	}
}

func known(what string, wanted, there []string) error {
	for _, w := range wanted {
		if !slices.Contains(there, w) {
			return fmt.Errorf("there is no %s %q, only %s", what, w, strings.Join(there, ", "))
		}
	}
	return nil
}

// alone waits until no other run is left: the two would disturb each other's
// measurements.
func alone(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), scratch+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for said := false; ; said = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		case !said:
			fmt.Fprintln(os.Stderr, "bench: waiting for another run to end")
		}
		if lab.Pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
	}
}

func (b *bench) measure(ctx context.Context, wanted []string) error {
	sweep()
	dir, err := os.MkdirTemp("", scratch)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Fprintln(os.Stderr, "bench: building")
	if err := build(ctx, filepath.Join(dir, "bin")); err != nil {
		return err
	}
	b.rig = &rig{dir: dir, profiled: b.profile != ""}
	defer b.rig.close()
	b.Machine = machine(ctx)
	var failed error
	for _, p := range b.parts() {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		from := time.Now()
		err := p.run(ctx)
		if ctx.Err() != nil {
			failed = fmt.Errorf("%s: interrupted", p.name)
			b.Notes = append(b.Notes, "Not everything was measured. "+failed.Error())
			break
		}
		if err != nil {
			// The figures of the other parts are valid nevertheless.
			err = fmt.Errorf("%s: %w", p.name, err)
			fmt.Fprintln(os.Stderr, "bench:", err)
			b.Notes = append(b.Notes, "Not everything was measured. "+err.Error())
			failed = errors.Join(failed, err)
		}
		fmt.Fprintf(os.Stderr, "%s took %.0f s\n", p.name, time.Since(from).Seconds())
	}
	b.goals()
	b.saidTable()
	return failed
}

func (b *bench) publish(file, chart string) error {
	b.Markdown(os.Stdout)
	if file != "" {
		if err := write(file, func(f *os.File) error { return b.JSON(f) }); err != nil {
			return err
		}
	}
	if chart == "" {
		return nil
	}
	return write(chart, func(f *os.File) error { return b.chart().SVG(f) })
}

// write makes a file and its directory.
func write(name string, content func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(content(f), f.Close())
}

// build builds the programs, the server as it is released.
func build(ctx context.Context, dir string) error {
	for _, p := range []struct{ name, from, tags string }{
		{"adit", "./cmd/adit", ""},
		{"load", "./test/cmd/load", ""},
		{"naive", "./test/cmd/naive", ""},
		{"adit-nocrypto", "./cmd/adit", "nocrypto"},
		{"load-nocrypto", "./test/cmd/load", "nocrypto"},
	} {
		c := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-tags", p.tags, "-o", filepath.Join(dir, p.name), p.from)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("go build %s: %w", p.from, err)
		}
	}
	return nil
}
