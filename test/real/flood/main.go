//go:build real

// Command flood is one client of our own that keeps as many echo requests on
// their way as the window says, for as long as it is told, and re-keys ESP by
// kilobytes:
//
//	flood LOCAL SERVER PSK USER PASSWORD TARGET KILOBYTES WINDOW DURATION
//
// It prints its result as JSON.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// Result is what came of it.
type Result struct {
	Sent, Answered uint64
	Octets         uint64 // of answered requests, one way
	Rekeys         int64
	Seconds        float64
	Dropped        map[string]uint64 // by the client's own data path
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

// size of an echo request, bytes.
const size = 1340

func run(args []string) error {
	if len(args) != 9 {
		return fmt.Errorf("want LOCAL SERVER PSK USER PASSWORD TARGET KILOBYTES WINDOW DURATION, got %d arguments", len(args))
	}
	local, server, target := netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1]), netip.MustParseAddr(args[5])
	kilobytes, err := strconv.ParseUint(args[6], 10, 64)
	if err != nil {
		return err
	}
	window, err := strconv.Atoi(args[7])
	if err != nil {
		return err
	}
	lasts, err := time.ParseDuration(args[8])
	if err != nil {
		return err
	}
	var sockets []dataplane.Socket
	for _, port := range []uint16{client.IKEPort, client.NATTPort} {
		bound := netip.AddrPortFrom(local, port)
		opened, err := udp.Listen(bound, 1)
		if err != nil {
			return err
		}
		sockets = append(sockets, dataplane.Socket{Conn: opened[0], Bound: bound, Kind: dataplane.KindOf(port)})
	}
	device := netdevtest.New("flood", 1400, 1)
	keys := &rekeys{}
	fleet, err := client.New(client.Config{
		Workers: [][]dataplane.Socket{sockets}, Device: device, PSK: secret.String(args[2]),
		ChildKilobytes: kilobytes, Observer: keys, Slots: 16,
	})
	if err != nil {
		return err
	}
	up, err := fleet.Dial(context.Background(), client.Target{Local: local, Server: server, User: args[3], Password: args[4]})
	if err != nil {
		return err
	}
	r := flood(device, up.Network.Peer, target, window, lasts)
	r.Rekeys = keys.n.Load() - 1
	r.Dropped = fleet.Drops()
	up.Close()
	if err := fleet.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// rekeys counts pairs of ESP SAs.
type rekeys struct{ n atomic.Int64 }

func (r *rekeys) Observe(e vpn.Event) {
	if _, ok := e.(vpn.ChildUp); ok {
		r.n.Add(1)
	}
}

// flood keeps window requests out. One that stays out for two seconds is lost,
// and another takes its place.
func flood(device *netdevtest.Device, from, to netip.Addr, window int, lasts time.Duration) (r Result) {
	answers := make(chan uint64, 1<<16)
	go func() {
		for b := device.Read(); b != nil; b = device.Read() {
			if len(b) == size && b[9] == 1 && b[20] == 0 {
				answers <- binary.BigEndian.Uint64(b[28:])
			}
		}
	}()
	out := make(map[uint64]time.Time, window)
	var next uint64
	send := func() {
		out[next] = time.Now()
		device.Inject(0, request(from, to, next))
		next++
	}
	began := time.Now()
	for range window {
		send()
	}
	stuck := time.NewTicker(time.Second)
	defer stuck.Stop()
	for time.Since(began) < lasts || len(out) > 0 {
		select {
		case n := <-answers:
			if _, ok := out[n]; !ok {
				continue
			}
			delete(out, n)
			r.Answered++
			if time.Since(began) < lasts {
				send()
			}
		case <-stuck.C:
			for n, at := range out {
				if time.Since(at) > 2*time.Second {
					delete(out, n)
					if time.Since(began) < lasts {
						send()
					}
				}
			}
		}
	}
	r.Sent, r.Octets, r.Seconds = next, r.Answered*size, time.Since(began).Seconds()
	return r
}

// request is an ICMP echo request over IPv4 that carries a number (RFC 792).
func request(from, to netip.Addr, n uint64) []byte {
	b := make([]byte, size)
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], size)
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:20]))
	b[20] = 8
	binary.BigEndian.PutUint16(b[26:], uint16(n))
	binary.BigEndian.PutUint64(b[28:], n)
	binary.BigEndian.PutUint16(b[22:], packet.Checksum(b[20:]))
	return b
}
