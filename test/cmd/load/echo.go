package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
)

// echoEvery is the interval of echo requests.
const echoEvery = 5 * time.Millisecond

// echo is one request: when it was sent, in Unix nanoseconds, and how many
// nanoseconds later its reply came, -1 if there was none.
type echo struct{ Sent, RTT int64 }

// runEcho pings the target as soon as it is connected. It accepts "ping", which is
// answered at once, and "report", which is answered with every echo.
func runEcho(ctx context.Context, o options) error {
	target, err := netip.ParseAddr(o.target)
	if err != nil {
		return err
	}
	device := netdevtest.New("echo", 1400, 1)
	fleet, err := o.fleet(device)
	if err != nil {
		return err
	}
	up, err := fleet.Dial(ctx, o.dial(o.first))
	if err != nil {
		return err
	}
	p := &pinger{device: device}
	go p.receive()
	go p.send(ctx, up.Network.Peer, target)
	return serve(ctx, func(words []string) (any, error) {
		if len(words) != 1 {
			return nil, errors.New("no such command")
		}
		switch words[0] {
		case "ping":
			return "pong", nil
		case "report":
			return p.report(), nil
		default:
			return nil, fmt.Errorf("no command %s", words[0])
		}
	})
}

type pinger struct {
	device *netdevtest.Device
	mu     sync.Mutex
	echoes []echo // by sequence number
}

func (p *pinger) send(ctx context.Context, from, to netip.Addr) {
	every := time.NewTicker(echoEvery)
	defer every.Stop()
	for seq := range 1 << 16 {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		b := echoRequest(from, to, uint16(seq))
		p.mu.Lock()
		p.echoes = append(p.echoes, echo{time.Now().UnixNano(), -1})
		p.mu.Unlock()
		p.device.Inject(0, b)
	}
}

func (p *pinger) receive() {
	for b := p.device.Read(); b != nil; b = p.device.Read() {
		now := time.Now().UnixNano()
		if len(b) < 28 || b[0] != 0x45 || b[9] != 1 || b[20] != 0 { // it is not an echo reply
			continue
		}
		seq := int(binary.BigEndian.Uint16(b[26:]))
		p.mu.Lock()
		if seq < len(p.echoes) && p.echoes[seq].RTT < 0 {
			p.echoes[seq].RTT = now - p.echoes[seq].Sent
		}
		p.mu.Unlock()
	}
}

func (p *pinger) report() []echo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]echo(nil), p.echoes...)
}

// echoRequest is an ICMP echo request of 64 bytes (RFC 792).
func echoRequest(from, to netip.Addr, seq uint16) []byte {
	b := make([]byte, 64)
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	b[20] = 8
	binary.BigEndian.PutUint16(b[26:], seq)
	binary.BigEndian.PutUint16(b[22:], checksum(b[20:]))
	return b
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
