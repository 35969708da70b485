package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// headers are the bytes of an IPv4 packet that TCP with timestamps does not count
// as data.
const headers = 20 + 20 + 12

// counters are the counters of one end, as the program load reports them.
type counters struct {
	Flows                         int
	Received                      uint64
	Segments, Retransmitted, Sent uint64
	MSS                           int
}

// traffic is what a lane carried in a period.
type traffic struct {
	seconds float64 // by the clock
	bytes   float64 // of inner IP packets that arrived in the measured direction
	cpu     float64 // seconds, of the server
	core    float64 // seconds that the server's core was busy, for any program
	repeats float64 // share of segments that were retransmitted
}

func (t traffic) cost() float64  { return t.cpu / t.bytes * 1e9 }
func (t traffic) gbits() float64 { return 8 * t.bytes / t.seconds / 1e9 }
func (t traffic) busy() float64  { return 100 * t.cpu / t.seconds }

// load is the traffic that a lane is to carry.
type load struct {
	way   string // "up" or "down"
	flows int
	pace  float64 // bits a second for each flow, 0 for no limit
	warm  time.Duration
	watch time.Duration
}

// carry makes TCP flow in one direction, and measures in the middle of it.
func (l *lane) carry(ctx context.Context, o load) (t traffic, err error) {
	var c counters
	if err := l.flow.order(&c, "open %c %d %s", o.way[0], int64(o.pace/8), l.addresses(o.flows)); err != nil {
		return t, err
	}
	lab.Pause(ctx, o.warm)
	before, err := l.read(o.way)
	if err != nil {
		return t, err
	}
	lab.Pause(ctx, o.watch)
	after, err := l.read(o.way)
	if err != nil {
		return t, err
	}
	if err := l.flow.order(&c, "close"); err != nil {
		return t, err
	}
	segments := after.sender.Segments - before.sender.Segments
	n := float64(after.receiver.Received - before.receiver.Received)
	if n == 0 || segments == 0 || after.sender.MSS == 0 {
		return t, errors.New("nothing was carried")
	}
	return traffic{
		seconds: after.at.Sub(before.at).Seconds(),
		bytes:   n * float64(after.sender.MSS+headers) / float64(after.sender.MSS),
		cpu:     after.cpu - before.cpu,
		core:    after.core - before.core,
		repeats: float64(after.sender.Retransmitted-before.sender.Retransmitted) / float64(segments),
	}, nil
}

// reading is the state of all clocks and counters at one moment.
type reading struct {
	at               time.Time
	cpu, core        float64
	sender, receiver counters
}

func (l *lane) read(way string) (r reading, err error) {
	sender, receiver := l.flow, l.sink
	if way == "down" {
		sender, receiver = receiver, sender
	}
	if err = receiver.order(&r.receiver, "info"); err != nil {
		return r, err
	}
	r.at = time.Now()
	if l.server != nil {
		if r.cpu, err = l.server.cpu(); err != nil {
			return r, err
		}
	}
	if r.core, err = coreBusy(serverCore); err != nil {
		return r, err
	}
	return r, sender.order(&r.sender, "info")
}

var ways = []string{"down", "up"}

// runBulk measures one TCP flow in each direction through every contestant. All of
// them run at the same time and are measured in turn, so that a period in which
// the machine is slower affects them all.
func (b *bench) runBulk(ctx context.Context) error {
	var wanted []contestant
	for _, c := range contestants() {
		if b.wants(c.key) {
			wanted = append(wanted, c)
		}
	}
	lanes, err := b.startLanes(ctx, wanted, forTCP, b.absent)
	if err != nil {
		return err
	}
	defer closeLanes(lanes)
	for round := range b.repeat {
		for _, l := range lanes {
			err := b.turn(ctx, l)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", l.name, err)
				b.Notes = append(b.Notes, fmt.Sprintf("%s failed in round %d: %v", l.name, round+1, err))
			}
		}
	}
	b.bulkTable(wanted)
	b.disturbance(wanted)
	return nil
}

// absent records why there are no figures of a contestant.
func (b *bench) absent(c contestant, why string) {
	for _, way := range ways {
		b.Add(&report.Figure{Key: bulkKey(c.key, way, "cost"), Name: c.name + ", " + way, Why: why})
	}
}

func bulkKey(contestant, way, what string) string {
	return "bulk/" + contestant + "/" + way + "/" + what
}

// turn measures one lane in both directions, and the unit U in between.
func (b *bench) turn(ctx context.Context, l *lane) error {
	unit := 0.0
	for _, way := range ways {
		profile := b.profileCPU(ctx, l.pprof(), l.key+"-"+way, b.watch)
		t, err := l.carry(ctx, load{way: way, flows: 1, warm: 500 * time.Millisecond, watch: b.watch})
		if err != nil {
			return err
		}
		<-profile
		put := func(what, unit string, v float64) { b.Sample(bulkKey(l.key, way, what), l.name+", "+way, unit, v) }
		put("speed", "Gbit/s", t.gbits())
		put("repeats", "% of segments", 100*t.repeats)
		if l.server == nil {
			fmt.Fprintf(os.Stderr, "%s, %s: %.2f Gbit/s\n", l.name, way, t.gbits())
			continue
		}
		if unit == 0 {
			if unit, err = openssl(ctx); err != nil {
				return err
			}
			b.Sample("unit", "U: openssl aes-256-cbc-hmac-sha1, 1424 bytes", "CPU s/GB", unit)
		}
		put("cost", "CPU s/GB", t.cost())
		put("units", "U", t.cost()/unit)
		put("busy", "% of the server's core", t.busy())
		put("others", "% of the server's core", max(0, 100*t.core/t.seconds-t.busy()))
		fmt.Fprintf(os.Stderr, "%s, %s: %.2f CPU s/GB, %.1f U, %.2f Gbit/s, core %.0f %%\n", l.name, way, t.cost(), t.cost()/unit, t.gbits(), t.busy())
	}
	return nil
}

// disturbance reports how much of the server's core other work took during the
// transfers. On a quiet machine that is little: the kernel's interrupts.
func (b *bench) disturbance(all []contestant) {
	var f report.Figure
	for _, c := range all {
		for _, way := range ways {
			f.Samples = append(f.Samples, b.Get(bulkKey(c.key, way, "others")).Samples...)
		}
	}
	if len(f.Samples) > 0 {
		b.Notes = append(b.Notes, fmt.Sprintf("While transfers were watched, other programs and interrupts had %.0f %% of the server's core.", f.Median()))
	}
}

func (b *bench) bulkTable(all []contestant) {
	t := report.Table{
		Title: "One TCP flow",
		Text: "Server CPU seconds for 10^9 bytes of IP inside, one core, and what a core would carry at that price. " +
			"Busy: how much of its core the server took while the other core, with the client and both ends of TCP, gave what it could.",
		Header: []string{"", "Down: CPU s/GB", "× U", "Gbit/s a core", "busy", "Up: CPU s/GB", "× U", "Gbit/s a core", "busy"},
	}
	again := report.Table{
		Title:  "The same flows: what went over the wire, and what TCP sent again",
		Header: []string{"", "Down: Gbit/s", "% of segments again", "Up: Gbit/s", "% of segments again"},
	}
	for _, c := range all {
		row := []string{c.name}
		for _, way := range ways {
			row = append(row, b.Get(bulkKey(c.key, way, "speed")).Bare(), b.Get(bulkKey(c.key, way, "repeats")).Bare())
		}
		again.Rows = append(again.Rows, row)
		if c.key == bare {
			continue
		}
		row = []string{c.name}
		for _, way := range ways {
			cost := b.Get(bulkKey(c.key, way, "cost"))
			if len(cost.Samples) == 0 {
				row = append(row, cost.String(), "", "", "")
				continue
			}
			row = append(row, cost.Bare(), b.Get(bulkKey(c.key, way, "units")).Bare(),
				fmt.Sprintf("%.2f", 8/cost.Median()), fmt.Sprintf("%.0f %%", b.Get(bulkKey(c.key, way, "busy")).Median()))
		}
		t.Rows = append(t.Rows, row)
	}
	t.Rows = append(t.Rows, []string{"U: openssl speed -evp aes-256-cbc-hmac-sha1 -bytes 1424", b.Get("unit").Bare(), "1", "", "", b.Get("unit").Bare(), "1", "", ""})
	b.Tables = append(b.Tables, t, again)
}

// openssl measures the unit U: CPU seconds for 10^9 bytes of AES-256-CBC with
// HMAC-SHA1 in OpenSSL, on the server's core.
func openssl(ctx context.Context) (float64, error) {
	args := append(onServerCore(), "openssl", "speed", "-mr", "-seconds", "1", "-bytes", "1424", "-evp", "aes-256-cbc-hmac-sha1")
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return parseSpeed(string(out))
}
