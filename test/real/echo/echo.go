//go:build real

// Package echo floods a host behind a tunnel with echo requests, and counts
// exactly what comes back.
package echo

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/packet"
)

// Result is what came of a flood.
type Result struct {
	Sent, Answered uint64
	Octets         uint64 // of answered requests, one way
	Seconds        float64
}

// size of an echo request, bytes.
const size = 1340

// Flood keeps window requests on their way for as long as it lasts, and returns
// when the last was answered or given up: one that stays out for two seconds
// is lost, and another takes its place. Nobody else may read from the device.
func Flood(device *netdevtest.Device, from, to netip.Addr, window int, lasts time.Duration) (r Result) {
	answers := make(chan uint64, 1<<16)
	end := make(chan struct{})
	defer close(end)
	go func() {
		for b := device.Read(); b != nil; b = device.Read() {
			if len(b) != size || b[9] != packet.ICMP || b[20] != 0 {
				continue
			}
			select {
			case answers <- binary.BigEndian.Uint64(b[28:]):
			case <-end:
				return
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
	b[0], b[8], b[9] = 0x45, 64, packet.ICMP
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
