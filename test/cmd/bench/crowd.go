package main

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// The key exchanges that are measured, by their IANA numbers.
const (
	modp2048 = 14
	ecp256   = 19
)

// parallel is how many clients of a crowd connect at a time.
const parallel = 64

// dialled is a crowd's answer.
type dialled struct {
	Up, Failed int
	Start, End int64 // Unix nanoseconds
}

func (d dialled) seconds() float64 { return float64(d.End-d.Start) / 1e9 }

// runIdle measures what idle sessions cost.
func (b *bench) runIdle(ctx context.Context) error {
	if err := b.rig.network(ctx); err != nil {
		return err
	}
	defer b.rig.removeNetwork()
	server, err := b.rig.server(ctx)
	if err != nil {
		return err
	}
	defer server.kill()
	crowd, err := b.rig.crowd(ctx, ecp256)
	if err != nil {
		return err
	}
	defer crowd.kill()
	lab.Pause(ctx, time.Second)
	rss0, pss0, err := server.memory()
	if err != nil {
		return err
	}
	var d dialled
	if err := crowd.order(&d, "dial %d %d", b.n, parallel); err != nil {
		return err
	}
	b.say(&report.Figure{Key: "idle/connect", Name: fmt.Sprintf("%d clients connect (ECP-256)", b.n), Unit: "s", Samples: []float64{d.seconds()}},
		report.Bound{}, fmt.Sprintf("%d did, %d failed", d.Up, d.Failed))
	lab.Pause(ctx, 5*time.Second)
	rss1, _, err := server.memory()
	if err != nil {
		return err
	}
	cpu0, err := server.cpu()
	if err != nil {
		return err
	}
	packets0, err := b.rig.packets(ctx)
	if err != nil {
		return err
	}
	from := time.Now()
	lab.Pause(ctx, b.idle)
	cpu1, err := server.cpu()
	if err != nil {
		return err
	}
	took := time.Since(from).Seconds()
	packets1, err := b.rig.packets(ctx)
	if err != nil {
		return err
	}
	rss2, pss2, err := server.memory()
	if err != nil {
		return err
	}
	status, err := server.control.Status(ctx)
	if err != nil {
		return err
	}
	sessions := float64(len(status.Sessions))
	kib := func(n float64) float64 { return n / 1024 / sessions }
	b.say(&report.Figure{Key: "idle/memory", Name: "resident memory a session", Unit: "KiB", Samples: []float64{kib(rss2 - rss0)}}, report.AtMost(40),
		fmt.Sprintf("RSS with %.0f sessions less RSS without (%.0f MiB); PSS %.1f KiB; right after they connected %.1f KiB",
			sessions, rss0/1024/1024, kib(pss2-pss0), kib(rss1-rss0)))
	b.say(&report.Figure{Key: "idle/cpu", Name: "keepalives of all sessions", Unit: "% of a core", Samples: []float64{100 * (cpu1 - cpu0) / took}}, report.AtMost(5),
		fmt.Sprintf("%.0f sessions, %.0f packets a second; LCP echo after 30 s of silence, L2TP hello after 60 s", sessions, (packets1-packets0)/took))
	return b.profiles(ctx, b.rig.pprof(), "idle")
}

// runConnect measures complete connects, from the first message to IPCP.
func (b *bench) runConnect(ctx context.Context) error {
	if err := b.rig.network(ctx); err != nil {
		return err
	}
	defer b.rig.removeNetwork()
	for _, g := range []struct {
		name   string
		number int
		n      int
		aim    float64
	}{{"group 14", modp2048, 1500, 250}, {"ECP-256", ecp256, 4000, 1000}} {
		var rates, walls []float64
		for range min(3, b.repeat) {
			cpu, wall, err := b.connect(ctx, g.number, g.n)
			if err != nil {
				return err
			}
			rates, walls = append(rates, 1/cpu), append(walls, wall)
		}
		b.say(&report.Figure{Key: "connect/" + g.name, Name: "connects a second a core, " + g.name, Samples: rates}, report.AtLeast(g.aim),
			fmt.Sprintf("1 / server CPU seconds a connect, IKE to IPCP, %d connects; clients on the same %s reached %s a second",
				g.n, cores(), spread(walls)))
	}
	return nil
}

// connect returns the server's CPU seconds for each connect, and the number of
// connects a second by the clock.
func (b *bench) connect(ctx context.Context, group, n int) (cpu, wall float64, err error) {
	server, err := b.rig.server(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer server.kill()
	crowd, err := b.rig.crowd(ctx, group)
	if err != nil {
		return 0, 0, err
	}
	defer crowd.kill()
	var d dialled
	if err := crowd.order(&d, "dial 10 10"); err != nil { // to fill tables, code caches and buffers
		return 0, 0, err
	}
	before, err := server.cpu()
	if err != nil {
		return 0, 0, err
	}
	profile := b.profileCPU(ctx, b.rig.pprof(), fmt.Sprintf("connect%d", group), 4*time.Second)
	defer func() { <-profile }()
	if err := crowd.order(&d, "dial %d %d", n, parallel); err != nil {
		return 0, 0, err
	}
	if d.Up == 0 {
		return 0, 0, crowd.complaint()
	}
	lab.Pause(ctx, 500*time.Millisecond) // for the last Configure-Acks
	after, err := server.cpu()
	return (after - before) / float64(d.Up), float64(d.Up) / d.seconds(), err
}
