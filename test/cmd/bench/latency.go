package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// weight is what else the server does while latency is measured.
type weight struct {
	key, name string
	way       string  // of the TCP flow, "" for none
	share     float64 // of what the server could carry
	every     time.Duration
}

// After ten milliseconds of sleep little of our server and of the kernel is left
// in the caches of a core, so the path outside the tunnel takes twice as long,
// too.
var (
	lone = weight{"lone", "nothing else, a packet a millisecond", "", 0, time.Millisecond}
	cold = weight{"idle", "nothing else, a packet in 10 ms", "", 0, 10 * time.Millisecond}
)

var weights = []weight{
	lone,
	cold,
	{"down10", "10 % load, down", "down", 0.1, 2 * time.Millisecond},
	{"up10", "10 % load, up", "up", 0.1, 2 * time.Millisecond},
	{"down80", "80 % load, down", "down", 0.8, 2 * time.Millisecond},
	{"up80", "80 % load, up", "up", 0.8, 2 * time.Millisecond},
}

func latencyKey(weight, quantile, what string) string {
	return "latency/" + weight + "/" + quantile + "/" + what
}

// probeFrom is the outer address of the client that probes.
const probeFrom = "198.18.0.9"

// probes are the round-trip times that a client has measured, in nanoseconds.
type probes struct {
	Tunnel, Bare []int64
	Lost         int
}

// runLatency measures how much later an answer comes through the tunnel than
// outside it.
func (b *bench) runLatency(ctx context.Context) error {
	l, err := b.rig.lane(ctx, adit("latency", "latency", variant{tier: "avx512", esp: "cbc-sha1", first: true}), forTCP)
	if err != nil {
		why, err := broken(ctx, err)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "latency: not measured:", why)
		b.Add(&report.Figure{Key: latencyKey(lone.key, "p50", "added"), Name: "latency", Why: why})
		return nil
	}
	defer l.close()
	prober, err := l.prober(ctx)
	if err != nil {
		return err
	}
	capacity := map[string]float64{}
	for _, way := range ways {
		t, err := l.carry(ctx, load{way: way, flows: 1, warm: 500 * time.Millisecond, watch: b.watch})
		if err != nil {
			return err
		}
		capacity[way] = 1e9 * t.gbits() / (t.busy() / 100)
	}
	for range b.repeat {
		for _, w := range weights {
			if err := b.latency(ctx, l, prober, w, capacity[w.way]); err != nil {
				return err
			}
		}
	}
	b.latencyTable()
	return nil
}

// prober starts the echo server behind the server, and the client that probes it.
// Like the server, both have real-time priority: the result should show how long
// the path takes, not what else the machine does. The echo server runs on the
// server's core, so that one core wakes another equally often with and without a
// tunnel.
func (l *lane) prober(ctx context.Context) (*process, error) {
	first := append(inRealTime(), l.rig.program("load"))
	echo, err := l.start(ctx, l.srv, nil, slices.Concat(onServerCore(), first, []string{"udpecho"})...)
	if err != nil {
		return nil, err
	}
	prober, err := l.start(ctx, l.cli, nil, slices.Concat(onOtherCores(), first, []string{
		"probe", "-server", outsideServer, "-first", probeFrom, "-inside", insideNet,
		"-esp", "cbc-sha1", "-psk", psk, "-user", user, "-password", password,
	})...)
	if err != nil {
		return nil, err
	}
	var ready string
	return prober, errors.Join(echo.order(&ready, "ready"), prober.order(&ready, "ready"))
}

func (b *bench) latency(ctx context.Context, l *lane, prober *process, w weight, capacity float64) error {
	done := make(chan error, 1)
	var t traffic
	n := int(2 * b.watch / w.every)
	if w.way == "" {
		done <- nil
	} else {
		// The flow begins before the probes, and ends after them.
		lasts := time.Duration(2*n) * w.every
		go func() {
			var err error
			t, err = l.carry(ctx, load{way: w.way, flows: 1, pace: w.share * capacity, warm: 300 * time.Millisecond, watch: lasts + 500*time.Millisecond})
			done <- err
		}()
		lab.Pause(ctx, 500*time.Millisecond)
	}
	var p probes
	if err := prober.order(&p, "probe %d %d", n, w.every.Microseconds()); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	if len(p.Tunnel) == 0 || len(p.Bare) == 0 {
		return errors.New("no probe was answered")
	}
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		tunnel, bare := quantile(p.Tunnel, q.at), quantile(p.Bare, q.at)
		for what, v := range map[string]float64{"tunnel": tunnel, "bare": bare, "added": tunnel - bare} {
			b.Sample(latencyKey(w.key, q.name, what), w.name+", "+q.name+", "+what, "µs", v)
		}
		fmt.Fprintf(os.Stderr, "latency, %s, %s: %.0f µs, bare %.0f µs\n", w.name, q.name, tunnel, bare)
	}
	if w.way != "" {
		b.Sample(latencyKey(w.key, "load", "busy"), w.name+", busy", "% of the server's core", t.busy())
	}
	b.Sample(latencyKey(w.key, "load", "lost"), w.name+", lost", "probes", float64(p.Lost))
	return nil
}

// quantile is the q-quantile of nanoseconds, in microseconds.
func quantile(ns []int64, q float64) float64 {
	s := slices.Sorted(slices.Values(ns))
	return float64(s[min(len(s)-1, int(q*float64(len(s))))]) / 1e3
}

func (b *bench) latencyTable() {
	t := report.Table{
		Title: "Latency, µs",
		Text: "From a datagram's leaving the client's device to the answer's coming there: of an echo through the tunnel, and of the same echo past it, " +
			"probed in turn. Added is the difference, the server's doing. Load is TCP, at that part of what " +
			"the server's core could carry alone; what the other core does not manage to send of it shows in how busy the server is.",
		Header: []string{"The server does", "its core is busy", "p50: tunnel", "bare", "added", "p99: tunnel", "bare", "added", "lost"},
	}
	for _, w := range weights {
		row := []string{w.name, b.Get(latencyKey(w.key, "load", "busy")).Bare()}
		for _, q := range []string{"p50", "p99"} {
			for _, what := range []string{"tunnel", "bare", "added"} {
				row = append(row, b.Get(latencyKey(w.key, q, what)).Bare())
			}
		}
		t.Rows = append(t.Rows, append(row, b.Get(latencyKey(w.key, "load", "lost")).Bare()))
	}
	b.Tables = append(b.Tables, t)
}
