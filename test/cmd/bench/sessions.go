package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
)

// crowds are how many sessions carry traffic at once.
var crowds = []int{1, 10, 1000}

const (
	// sessionFlows is how many TCP flows there are, whatever the number of
	// sessions that carry them. Many flows send a few segments at a time, which
	// cannot be compared with the super-packets of one flow.
	sessionFlows = 1000

	// share is the throughput of all flows together, as a fraction of what one
	// flow can carry. At the most that the server can carry, the result would show
	// how a thousand flows compete in one queue.
	share = 0.25
)

// runSessions measures what it costs if the same traffic belongs to many sessions.
func (b *bench) runSessions(ctx context.Context) error {
	var all []contestant
	for _, n := range crowds {
		all = append(all, adit(fmt.Sprintf("n%d", n), fmt.Sprintf("%d sessions", n),
			variant{tier: "avx512", esp: "cbc-sha1", clients: n, client: []string{"-first", outsideFirst}}))
	}
	lanes, err := b.startLanes(ctx, all, forTCP, func(c contestant, why string) {
		for _, way := range ways {
			b.Add(&report.Figure{Key: sessionKey(c.key, way, "cost"), Name: c.name, Why: why})
		}
	})
	if err != nil {
		return err
	}
	defer closeLanes(lanes)
	pace := map[string]float64{}
	for range b.repeat {
		for _, way := range ways {
			if pace[way] == 0 && len(lanes) > 0 {
				t, err := lanes[0].carry(ctx, load{way: way, flows: 1, warm: 500 * time.Millisecond, watch: b.watch})
				if err != nil {
					return fmt.Errorf("%s: %w", lanes[0].name, err)
				}
				pace[way] = share * 1e9 * t.gbits()
			}
			for _, l := range lanes {
				if err := b.active(ctx, l, way, pace[way]); err != nil {
					return fmt.Errorf("%s: %w", l.name, err)
				}
			}
		}
	}
	b.sessionTable(all)
	return nil
}

func sessionKey(contestant, way, what string) string {
	return "sessions/" + contestant + "/" + way + "/" + what
}

func (b *bench) active(ctx context.Context, l *lane, way string, pace float64) error {
	profile := b.profileCPU(ctx, l.pprof(), l.key+"-"+way, b.watch)
	t, err := l.carry(ctx, load{way: way, flows: sessionFlows, pace: pace / sessionFlows, warm: 2 * time.Second, watch: b.watch})
	if err != nil {
		return err
	}
	<-profile
	put := func(what, unit string, v float64) { b.Sample(sessionKey(l.key, way, what), l.name+", "+way, unit, v) }
	put("cost", "CPU s/GB", t.cost())
	put("speed", "Gbit/s", t.gbits())
	put("busy", "% of the server's core", t.busy())
	put("repeats", "% of segments", 100*t.repeats)
	fmt.Fprintf(os.Stderr, "%s, %s: %.2f CPU s/GB, %.2f Gbit/s, core %.0f %%, sent again %.3f %%\n", l.name, way, t.cost(), t.gbits(), t.busy(), 100*t.repeats)
	return nil
}

func (b *bench) sessionTable(all []contestant) {
	t := report.Table{
		Title: "Many sessions at once",
		Text: fmt.Sprintf("%d TCP flows, spread evenly over so many sessions. All together send at one rate, %.0f %% of what a single flow could: "+
			"the server carries the same segments in all rows.", sessionFlows, 100*share),
		Header: []string{"", "Down: CPU s/GB", "Gbit/s", "busy", "Up: CPU s/GB", "Gbit/s", "busy"},
	}
	for _, c := range all {
		row := []string{c.name}
		for _, way := range ways {
			cost := b.Get(sessionKey(c.key, way, "cost"))
			if len(cost.Samples) == 0 {
				row = append(row, cost.String(), "", "")
				continue
			}
			row = append(row, cost.Bare(), b.Get(sessionKey(c.key, way, "speed")).Bare(), fmt.Sprintf("%.0f %%", b.Get(sessionKey(c.key, way, "busy")).Median()))
		}
		t.Rows = append(t.Rows, row)
	}
	b.Tables = append(b.Tables, t)
}
