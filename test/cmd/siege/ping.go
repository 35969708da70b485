package main

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/test/client"
	"github.com/adit-vpn/adit/test/persona/wire"
)

// sessions is how many established sessions are observed, pingEvery how often each
// of them pings the server.
const (
	sessions  = 4
	pingEvery = 50 * time.Millisecond
)

// pinger is an established session that pings continuously.
type pinger struct {
	fleet  *client.Fleet
	device *netdevtest.Device
	mu     sync.Mutex
	pings  []ping // by sequence number
}

// ping is an echo request: when it was sent, and when its answer came. The latter
// is zero if there was none.
type ping struct{ sent, came time.Time }

// startPingers connects sessions and makes them ping.
func startPingers(ctx context.Context) (all []*pinger, err error) {
	for i := range sessions {
		p := &pinger{device: netdevtest.New("ping", 1400, 1)}
		own := netip.AddrFrom4([4]byte{198, 19, 255, byte(i + 1)})
		sockets, err := honestSockets(own)
		if err != nil {
			return all, err
		}
		if p.fleet, err = client.New(client.Config{
			Workers: [][]dataplane.Socket{sockets}, Device: p.device, PSK: secret.String(psk),
			Suites: []ike.Suite{{Cipher: ike.CipherAES, KeyBits: 256, Hash: ike.HashSHA256, Group: ike.GroupECP256}},
			Pools:  []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")}, Slots: 64,
		}); err != nil {
			return all, err
		}
		all = append(all, p)
		up, err := p.fleet.Dial(ctx, client.Target{Local: own, Server: netip.MustParseAddr(serverAddr), User: user, Password: password})
		if err != nil {
			return all, err
		}
		go p.receive()
		go p.send(ctx, up.Network.Peer)
	}
	return all, nil
}

func honestSockets(own netip.Addr) (sockets []dataplane.Socket, err error) {
	for _, port := range []uint16{client.IKEPort, client.NATTPort} {
		bound := netip.AddrPortFrom(own, port)
		err := within(nsHonest, func() error {
			opened, err := udp.Listen(bound, 1)
			if err == nil {
				sockets = append(sockets, dataplane.Socket{Conn: opened[0], Bound: bound, Kind: dataplane.KindOf(port)})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return sockets, nil
}

func (p *pinger) send(ctx context.Context, from netip.Addr) {
	every := time.NewTicker(pingEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		p.mu.Lock()
		seq := len(p.pings)
		p.pings = append(p.pings, ping{sent: time.Now()})
		p.mu.Unlock()
		p.device.Inject(0, echoRequest(from, netip.MustParseAddr(insideAddr), uint16(seq)))
	}
}

func (p *pinger) receive() {
	for b := p.device.Read(); b != nil; b = p.device.Read() {
		now := time.Now()
		if len(b) < 28 || b[0] != 0x45 || b[9] != 1 || b[20] != 0 { // it is not an echo reply
			continue
		}
		seq := int(binary.BigEndian.Uint16(b[26:]))
		p.mu.Lock()
		if seq < len(p.pings) && p.pings[seq].came.IsZero() {
			p.pings[seq].came = now
		}
		p.mu.Unlock()
	}
}

// echoRequest is an ICMP echo request of 64 bytes (RFC 792).
func echoRequest(from, to netip.Addr, seq uint16) []byte {
	b := make([]byte, 44)
	b[0] = 8
	binary.BigEndian.PutUint16(b[6:], seq)
	binary.BigEndian.PutUint16(b[2:], internetSum(b))
	return wire.IPPacket(from, to, 1, 64, b)
}

// pings are the pings of a window of time.
type pings struct {
	took []time.Duration // sorted
	lost int
}

func between(all []*pinger, from, to time.Time) (s pings) {
	for _, p := range all {
		p.mu.Lock()
		for _, x := range p.pings {
			switch {
			case x.sent.Before(from) || x.sent.After(to):
			case x.came.IsZero():
				s.lost++
			default:
				s.took = append(s.took, x.came.Sub(x.sent))
			}
		}
		p.mu.Unlock()
	}
	slices.Sort(s.took)
	return s
}

// quantile is the q-quantile of sorted durations.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d[min(len(d)-1, int(q*float64(len(d))))]
}
