package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// runServer measures what the server does besides carrying packets: what it
// allocates at the same time, and how often an idle server wakes up.
func (b *bench) runServer(ctx context.Context) error {
	var why string
	for _, do := range []func(context.Context) error{b.allocations, b.wakeUps} {
		if err := do(ctx); err != nil {
			if why, err = broken(ctx, err); err != nil {
				return err
			}
			b.say(&report.Figure{Key: "server", Name: "the server by itself", Why: why}, report.Bound{}, "")
		}
	}
	return nil
}

// allocations counts the heap objects of a server while it carries packets.
func (b *bench) allocations(ctx context.Context) error {
	l, err := b.rig.lane(ctx, adit("allocs", "allocations", variant{tier: "avx512", esp: "cbc-sha1", pprof: true}), forTCP)
	if err != nil {
		return err
	}
	defer l.close()
	read := func() (n float64, err error) {
		body, err := lab.Get(ctx, l.pprof(), "/allocations")
		if err == nil {
			err = json.Unmarshal(body, &n)
		}
		return n, err
	}
	for _, way := range ways {
		var before, after [2]float64
		// Two readings at each end: the second shows what the first one costs.
		look := func(n *[2]float64) (err error) {
			for i := range n {
				var rerr error
				n[i], rerr = read()
				err = errors.Join(err, rerr)
			}
			return err
		}
		if err := look(&before); err != nil {
			return err
		}
		t, err := l.carry(ctx, load{way: way, flows: 1, warm: 0, watch: 2 * b.watch})
		if err != nil {
			return err
		}
		if err := look(&after); err != nil {
			return err
		}
		objects := max(0, after[0]-before[1]-(after[1]-after[0]))
		packets := t.bytes / 1400
		// A few objects belong to timers and to the reading itself. Objects for
		// each packet would be a thousand times as many.
		b.say(&report.Figure{Key: "server/allocations/" + way, Name: "heap objects a data packet, " + way, Samples: []float64{objects / packets}},
			report.Bound{}, fmt.Sprintf("%.0f objects of all the server while %.0f packets passed", objects, packets))
	}
	return nil
}

// wakeUps counts how often the threads of a server with one idle session sleep and
// are woken.
func (b *bench) wakeUps(ctx context.Context) error {
	l, err := b.rig.lane(ctx, adit("idle", "idle", variant{esp: "cbc-sha1"}), forTCP)
	if err != nil {
		return err
	}
	defer l.close()
	lab.Pause(ctx, 2*time.Second)
	from := time.Now()
	n0, err := switches(l.server.cmd.Process.Pid)
	if err != nil {
		return err
	}
	cpu0, err := l.server.cpu()
	if err != nil {
		return err
	}
	lab.Pause(ctx, 5*b.watch)
	n1, err := switches(l.server.cmd.Process.Pid)
	if err != nil {
		return err
	}
	cpu1, err := l.server.cpu()
	if err != nil {
		return err
	}
	took := time.Since(from).Seconds()
	b.say(&report.Figure{Key: "server/wakeups", Name: "wake-ups of an idle server", Unit: "a second", Samples: []float64{(n1 - n0) / took}},
		report.Bound{}, fmt.Sprintf("voluntary context switches of all threads, one idle session, %.0f s; %.0f µs of processor time a second", took, (cpu1-cpu0)/took*1e6))
	return nil
}
