package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/test/cmd/lab"
)

// The limits that must be kept.
const (
	mustSoon    = 0.90 // of honest clients connect within soon
	mustAtAll   = 0.95 // of honest clients connect within giveUp
	soon        = 3 * time.Second
	mustPing    = 2 * time.Millisecond
	mustMemory  = 128 << 20
	mustLog     = 20.0
	mustAmplify = 1.0
)

// figures are what one row measured.
type figures struct {
	row
	packets, rate float64 // of the attack: packets and bytes a second
	came          []newcomer
	idle, pings   pings
	inSockets     int     // lost pings that full sockets and the backlog can account for
	full500       float64 // packets a second that were dropped because port 500's sockets were full
	memory        int64
	log           float64
	in, out       int64
	cpu           float64 // processor cores used
}

const (
	settle    = time.Second
	baseline  = 3 * time.Second
	arriveAll = 400 * time.Millisecond
)

// measure runs one row against a server of its own.
func (r *rig) measure(ctx context.Context, o options, i int, row row) (*figures, error) {
	if err := r.network(ctx); err != nil {
		return nil, err
	}
	s, err := r.server(ctx, row)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	all, err := startPingers(inner)
	defer func() {
		for _, p := range all {
			go func() { _ = p.fleet.Close() }() // by then the server has been stopped
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("before the attack: %w", err)
	}
	f := &figures{row: row}
	n := &newcomers{delay: row.delay, own: row.own}
	began := time.Now()
	for _, c := range n.arrive(ctx, arriveAll, baseline) {
		if c.err != nil {
			return nil, fmt.Errorf("before the attack: %s: %w", c.who, c.err)
		}
	}
	f.idle = between(all, began, time.Now())
	lab.Pause(ctx, settle)
	before, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	most := s.peak(inner)
	stop, err := r.attacker(ctx, o, i, row)
	if err != nil {
		return nil, err
	}
	lab.Pause(ctx, settle)
	profiled := s.profile(ctx, o, row.name)
	from := time.Now()
	f.came = n.arrive(ctx, arriveAll, o.time)
	to := time.Now()
	after, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	t, err := stop()
	if err != nil {
		return nil, fmt.Errorf("the attacker: %w", err)
	}
	<-profiled
	lab.Pause(ctx, settle) // packets that are still in transit arrive
	took := after.at.Sub(before.at).Seconds()
	f.packets, f.rate = float64(t.Packets)/took, float64(t.Bytes)/took
	f.pings = between(all, from, to)
	f.inSockets = min(f.pings.lost, int(after.full-before.full+after.backlog-before.backlog))
	f.full500 = float64(after.full500-before.full500) / took
	f.memory = most.Load() - before.rss
	f.log = float64(after.lines-before.lines) / took
	f.in, f.out = after.in-before.in, after.out-before.out
	f.cpu = (after.cpu - before.cpu) / took
	r.say(f)
	return f, nil
}

// say prints which newcomers did not connect.
func (r *rig) say(f *figures) {
	for _, c := range f.came {
		if c.err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s: %v\n", f.name, c.who, c.err)
		}
	}
}

// within is the share of newcomers that connected in time.
func (f *figures) within(d time.Duration) float64 {
	if len(f.came) == 0 {
		return 0
	}
	n := 0
	for _, c := range f.came {
		if c.err == nil && c.took <= d {
			n++
		}
	}
	return float64(n) / float64(len(f.came))
}

// took are the connect times. For a failure it is the time after which it was
// given up.
func (f *figures) took() (d []time.Duration) {
	for _, c := range f.came {
		d = append(d, c.took)
	}
	slices.Sort(d)
	return d
}

func (f *figures) amplified() float64 {
	if f.in == 0 {
		return 0
	}
	return float64(f.out) / float64(f.in)
}

// missed lists the limits that are not kept.
func (f *figures) missed() (list []string) {
	for _, m := range []struct {
		name string
		met  bool
	}{
		{"3 s", f.within(soon) >= mustSoon},
		{"10 s", f.within(giveUp) >= mustAtAll},
		{"ping", quantile(f.pings.took, 0.5) <= mustPing && len(f.pings.took) > 0},
		{"lost", f.pings.lost <= f.inSockets},
		{"memory", f.memory <= mustMemory},
		{"log", f.log <= mustLog},
		{"amplification", f.user || f.in < 10000 || f.amplified() <= mustAmplify},
	} {
		if !m.met {
			list = append(list, m.name)
		}
	}
	return list
}

var header = []string{"Attack", "Reached", "Port 500 full", "≤ 3 s", "≤ 10 s", "Connect p50, p95", "Ping idle → p50, p99", "Lost by server, sockets", "RSS over idle", "Log", "Out/in", "CPU", "Missed"}

const legend = "Must: ≥ 90 % of honest clients connect within 3 s and ≥ 95 % within 10 s; ping p50 of established sessions ≤ 2 ms, none lost by the server; " +
	"RSS ≤ 128 MB over idle; ≤ 20 lines of log a second, those about honest clients left out; not more bytes out than in on the attacker's link."

func (f *figures) cells() []string {
	took := f.took()
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Nanoseconds())/1e6) }
	missed := "—"
	if m := f.missed(); len(m) > 0 {
		missed = "✗ " + strings.Join(m, ", ")
	}
	return []string{
		f.name,
		fmt.Sprintf("%.0f/s, %.2f MB/s", f.packets, f.rate/1e6),
		fmt.Sprintf("%.0f/s", f.full500),
		fmt.Sprintf("%.0f %%", 100*f.within(soon)),
		fmt.Sprintf("%.0f %% of %d", 100*f.within(giveUp), len(f.came)),
		fmt.Sprintf("%.2f, %.2f s", quantile(took, 0.5).Seconds(), quantile(took, 0.95).Seconds()),
		fmt.Sprintf("%s → %s, %s ms", ms(quantile(f.idle.took, 0.5)), ms(quantile(f.pings.took, 0.5)), ms(quantile(f.pings.took, 0.99))),
		fmt.Sprintf("%d, %d of %d", f.pings.lost-f.inSockets, f.inSockets, f.pings.lost+len(f.pings.took)),
		fmt.Sprintf("%d MB", f.memory>>20),
		fmt.Sprintf("%.1f/s", f.log),
		fmt.Sprintf("%.2f", f.amplified()),
		fmt.Sprintf("%.2f", f.cpu),
		missed,
	}
}

var odd = regexp.MustCompile(`[^A-Za-z0-9]+`)

// profile writes what the server's processor time is spent on during an attack.
func (s *server) profile(ctx context.Context, o options, name string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if o.profile == "" {
			return
		}
		body, err := lab.Get(ctx, s.pprof, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(o.time.Seconds()))))
		if err == nil {
			err = os.MkdirAll(o.profile, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(o.profile, odd.ReplaceAllString(name, "-")+".cpu"), body, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "siege:", err)
		}
	}()
	return done
}
