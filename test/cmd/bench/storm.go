package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

const (
	stormSize   = 200
	stormRounds = 10
	calm        = 10 * time.Second
)

// echo is one ping of the observed client.
type echo struct{ Sent, RTT int64 }

// runStorm measures how long an established session's packets take, first while
// nothing else happens and then during many handshakes.
func (b *bench) runStorm(ctx context.Context) error {
	if err := b.rig.network(ctx); err != nil {
		return err
	}
	defer b.rig.removeNetwork()
	// All programs share the machine. The server and the observed client have
	// priority, and the crowd gets the rest, so the result shows the effect of the
	// server, as if clients had machines of their own.
	server, err := b.rig.server(ctx, "nice", "-n", "-20")
	if err != nil {
		return err
	}
	defer server.kill()
	one, err := b.rig.one(ctx, []string{"chrt", "-f", "50"}, "echo", insideAddr, "cbc-sha1")
	if err != nil {
		return err
	}
	defer one.kill()
	var pong string
	if err := one.order(&pong, "ping"); err != nil {
		return err
	}
	crowd, err := b.rig.crowd(ctx, modp2048, "nice", "-n", "19")
	if err != nil {
		return err
	}
	defer crowd.kill()
	var d dialled
	if err := crowd.order(&d, "dial 10 10"); err != nil {
		return err
	}
	lab.Pause(ctx, time.Second)
	quiet := [2]int64{time.Now().UnixNano()}
	lab.Pause(ctx, calm)
	quiet[1] = time.Now().UnixNano()
	var storms [][2]int64
	var took []float64
	for range stormRounds {
		if err := crowd.order(&d, "dial %d %d", stormSize, stormSize); err != nil {
			return err
		}
		storms = append(storms, [2]int64{d.Start, d.End})
		took = append(took, d.seconds())
		if err := crowd.order(&d, "close"); err != nil {
			return err
		}
		lab.Pause(ctx, 500*time.Millisecond)
	}
	var echoes []echo
	if err := one.order(&echoes, "report"); err != nil {
		return err
	}
	before := latencies(echoes, [][2]int64{quiet})
	during := latencies(echoes, storms)
	how := fmt.Sprintf("ping through a session every 5 ms; %d storms of %s s; server nice -20, crowd nice 19; replies lost: %d of %d",
		stormRounds, spread(took), during.lost, during.lost+len(during.ms))
	for _, q := range []struct {
		name string
		at   float64
		aim  float64
	}{{"p50", 0.5, 1}, {"p99", 0.99, 10}} {
		calm, storm := before.quantile(q.at), during.quantile(q.at)
		b.say(&report.Figure{
			Key: "storm/" + q.name, Name: fmt.Sprintf("latency that %d handshakes at once add, %s", stormSize, q.name),
			Unit: "ms", Samples: []float64{storm - calm},
		}, report.AtMost(q.aim), fmt.Sprintf("%.2f ms → %.2f ms; %s", calm, storm, how))
		how = "as above"
	}
	return nil
}

// sample are round-trip times in milliseconds, sorted.
type sample struct {
	ms   []float64
	lost int
}

// latencies are the round-trip times of the echoes that were sent in some windows
// of time.
func latencies(echoes []echo, windows [][2]int64) (s sample) {
	for _, e := range echoes {
		if !slices.ContainsFunc(windows, func(w [2]int64) bool { return w[0] <= e.Sent && e.Sent < w[1] }) {
			continue
		}
		if e.RTT < 0 {
			s.lost++
			continue
		}
		s.ms = append(s.ms, float64(e.RTT)/1e6)
	}
	slices.Sort(s.ms)
	return s
}

func (s sample) quantile(q float64) float64 {
	if len(s.ms) == 0 {
		return 0
	}
	return s.ms[min(len(s.ms)-1, int(q*float64(len(s.ms))))]
}
