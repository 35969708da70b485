package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/adit-vpn/adit/test/cmd/bench/report"
	"github.com/adit-vpn/adit/test/cmd/lab"
)

// sizes are the sizes of the inner IP packets, in bytes.
var sizes = []int{64, 512, 1400}

// streamed is what the clients of a lane for UDP have received.
type streamed struct{ Packets, Bytes uint64 }

// runUDP measures packets of one client that no kernel joins or cuts, more of them
// than the server can process. SoftEther does not take part: when it gets more
// than it can process, hardly anything comes out.
func (b *bench) runUDP(ctx context.Context) error {
	var all []contestant
	for _, c := range contestants() {
		if c.key == best || c.key == naive {
			all = append(all, c)
		}
	}
	lanes, err := b.startLanes(ctx, all, forUDP, func(c contestant, why string) {
		for _, way := range ways {
			for _, size := range sizes {
				b.Add(&report.Figure{Key: udpKey(c.key, way, size, "cost"), Name: c.name, Why: why})
			}
		}
	})
	if err != nil {
		return err
	}
	defer closeLanes(lanes)
	for range min(3, b.repeat) {
		for _, size := range sizes {
			for _, way := range ways {
				for _, l := range lanes {
					if err := b.packets(ctx, l, way, size); err != nil {
						return fmt.Errorf("%s: %w", l.key, err)
					}
				}
			}
		}
	}
	b.udpTable(all)
	return nil
}

func udpKey(contestant, way string, size int, what string) string {
	return fmt.Sprintf("udp/%s/%s/%d/%s", contestant, way, size, what)
}

func (b *bench) packets(ctx context.Context, l *lane, way string, size int) error {
	t, err := l.stream(ctx, way, size, b.watch)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s, UDP of %d bytes, %s", l.name, size, way)
	b.Sample(udpKey(l.key, way, size, "cost"), name, "µs a packet", t.cpu/t.packets*1e6)
	b.Sample(udpKey(l.key, way, size, "rate"), name, "packets a second a core", t.packets/t.cpu)
	b.Sample(udpKey(l.key, way, size, "busy"), name, "% of the server's core", 100*t.cpu/t.seconds)
	fmt.Fprintf(os.Stderr, "%s: %.2f µs a packet, %.0f a second, core %.0f %%\n", name, t.cpu/t.packets*1e6, t.packets/t.seconds, 100*t.cpu/t.seconds)
	return nil
}

// streamTraffic is what a lane carried in a period.
type streamTraffic struct{ seconds, packets, cpu float64 }

// stream makes UDP flow in one direction through every client of a lane, as much
// as possible, and measures in the middle of it.
func (l *lane) stream(ctx context.Context, way string, size int, watch time.Duration) (t streamTraffic, err error) {
	stop, err := l.startStream(way, size)
	if err != nil {
		return t, err
	}
	lab.Pause(ctx, 300*time.Millisecond)
	n0, err := l.carried(ctx, way)
	if err != nil {
		return t, err
	}
	from, cpu0 := time.Now(), 0.0
	if cpu0, err = l.server.cpu(); err != nil {
		return t, err
	}
	lab.Pause(ctx, watch)
	n1, err := l.carried(ctx, way)
	if err != nil {
		return t, err
	}
	t.seconds = time.Since(from).Seconds()
	cpu1, err := l.server.cpu()
	if err != nil {
		return t, err
	}
	t.packets, t.cpu = n1-n0, cpu1-cpu0
	if t.packets == 0 {
		return t, errors.New("nothing was carried")
	}
	return t, stop()
}

func (l *lane) startStream(way string, size int) (stop func() error, err error) {
	var s streamed
	if way == "up" {
		return func() error { return l.client.order(&s, "stop") }, l.client.order(&s, "up %d", size)
	}
	var said string
	return func() error { return l.blast.order(&said, "stop") }, l.blast.order(&said, "down %d %s", size, l.addresses(len(l.clients)))
}

// carried is how many packets the server has carried in one direction. Our own
// server reports it. For naive it is what arrives: naive's client is ours, and
// much faster than naive.
func (l *lane) carried(ctx context.Context, way string) (float64, error) {
	if way == "up" {
		var n uint32
		err := l.sink.order(&n, "datagrams")
		return float64(n), err
	}
	if l.server.control == nil {
		var s streamed
		err := l.client.order(&s, "count")
		return float64(s.Packets), err
	}
	status, err := l.server.control.Status(ctx)
	n := uint64(0)
	for _, s := range status.Sessions {
		n += s.OutPackets
	}
	return float64(n), err
}

func (b *bench) udpTable(all []contestant) {
	t := report.Table{
		Title: "UDP, one client",
		Text:  "Packets a second that a core would carry, and what one takes of it. Bytes: of the IP packet inside. Packets come to the server one by one, as many as the other core can send.",
		Header: []string{"", "Bytes", "Down: packets a second a core", "µs a packet", "busy",
			"Up: packets a second a core", "µs a packet", "busy"},
	}
	for _, c := range all {
		for _, size := range sizes {
			row := []string{c.name, fmt.Sprint(size)}
			for _, way := range ways {
				cost := b.Get(udpKey(c.key, way, size, "cost"))
				if len(cost.Samples) == 0 {
					row = append(row, cost.String(), "", "")
					continue
				}
				row = append(row, fmt.Sprintf("%.0f", b.Get(udpKey(c.key, way, size, "rate")).Median()), cost.Bare(),
					fmt.Sprintf("%.0f %%", b.Get(udpKey(c.key, way, size, "busy")).Median()))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	b.Tables = append(b.Tables, t)
}
