package main

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/test/persona/wire"
)

// attack is one kind of attack. It runs until its context ends.
type attack func(context.Context, *arsenal) error

// arsenal is what attacks use.
type arsenal struct {
	server  netip.Addr
	server6 netip.Addr
	rate    float64 // packets a second at most; 0: as fast as possible
	honest  bool    // it sends from the honest clients' address
	counters
}

// sockets are sockets on ports 500 and 4500, on addresses that can receive.
type sockets struct {
	a    *arsenal
	own  map[uint16]*udp.Socket
	mu   sync.Mutex
	ike  map[[8]byte]chan<- []byte // by the initiator's cookie
	esp  map[uint32]chan<- []byte  // by SPI
	each func(local netip.Addr, m *wire.Message)
}

// open opens the sockets, for IPv6 if six is set. If each is not nil, it is called
// with every IKE message that no holder waits for.
func (a *arsenal) open(six bool, each func(s *sockets, local netip.Addr, m *wire.Message)) (*sockets, error) {
	s := &sockets{a: a, own: map[uint16]*udp.Socket{}, ike: map[[8]byte]chan<- []byte{}, esp: map[uint32]chan<- []byte{}}
	if each != nil {
		s.each = func(local netip.Addr, m *wire.Message) { each(s, local, m) }
	}
	local := netip.IPv4Unspecified()
	switch {
	case six:
		local = netip.IPv6Unspecified()
	case a.honest:
		local = netip.MustParseAddr(honestAddr)
	}
	for _, port := range []uint16{500, 4500} {
		opened, err := udp.Listen(netip.AddrPortFrom(local, port), 1)
		if err != nil {
			return nil, err
		}
		s.own[port] = opened[0]
		go s.read(opened[0], port)
	}
	return s, nil
}

func (s *sockets) read(conn *udp.Socket, port uint16) {
	packets := make([]udp.Packet, 32)
	fill := func() []udp.Packet {
		for i := range packets {
			packets[i].Data = make([]byte, 8192)
		}
		return packets
	}
	_ = conn.Read(fill(), func(n int) []udp.Packet {
		for _, p := range packets[:n] {
			step := max(1, len(p.Data))
			if p.Segment > 0 {
				step = p.Segment
			}
			for b := p.Data; len(b) > 0; b = b[min(step, len(b)):] {
				s.receive(port, p.Local.Addr(), b[:min(step, len(b))])
			}
		}
		return fill()
	})
}

func (s *sockets) receive(port uint16, local netip.Addr, b []byte) {
	if port == 4500 {
		if len(b) < 8 {
			return
		}
		if spi := binary.BigEndian.Uint32(b); spi != 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			hand(s.esp[spi], b)
			return
		}
		b = b[4:]
	}
	m, err := wire.ParseMessage(b)
	if err != nil {
		return
	}
	s.mu.Lock()
	to, waits := s.ike[m.Initiator]
	hand(to, b)
	s.mu.Unlock()
	if !waits && s.each != nil {
		s.each(local, m)
	}
}

func hand(to chan<- []byte, b []byte) {
	select {
	case to <- b: // a nil channel never receives
	default:
	}
}

// send sends an IKE message, or on port 4500 any packet with its marker.
func (s *sockets) send(local netip.Addr, port uint16, b []byte) {
	remote := s.a.server
	if local.Is6() {
		remote = s.a.server6
	}
	n, _ := s.own[port].WriteBatch([]udp.Packet{{Data: b, Local: netip.AddrPortFrom(local, port), Remote: netip.AddrPortFrom(remote, port)}})
	s.a.Packets.Add(int64(n))
	s.a.Bytes.Add(int64(n * (len(b) + 28)))
}

// these are an attacker's IPv4 addresses, or those of the honest clients.
func (a *arsenal) these(i int) netip.Addr {
	if a.honest {
		return netip.MustParseAddr(honestAddr)
	}
	return netip.AddrFrom4([4]byte{198, 18, byte(1 + i>>8), byte(i)})
}

// prefixes are addresses of one IPv6 /48, each in a /64 of its own.
func prefixes(i int) netip.Addr {
	b := netip.MustParsePrefix(attackerNet6).Addr().As16()
	binary.BigEndian.PutUint16(b[6:], uint16(i))
	b[15] = 1
	return netip.AddrFrom16(b)
}

// handshakes begins Main Mode from real sources, continues to message 3 and ends
// with random bytes as message 5. After message 3 it sends that many bytes more:
// behind.
func handshakes(six bool, group, sources int, rate float64, behind int) attack {
	return func(ctx context.Context, a *arsenal) error {
		ke, nonce := public(group), make([]byte, 16)
		s, err := a.open(six, func(s *sockets, local netip.Addr, m *wire.Message) {
			switch m.First {
			case wire.PayloadSA:
				s.send(local, 500, message3(m.Initiator, m.Responder, ke, nonce))
				for left := behind; left > 0; left -= 4096 {
					s.send(local, 500, noise(m.Initiator, m.Responder, wire.MainMode, 0, min(left, 4096)))
				}
			case wire.PayloadKE:
				s.send(local, 500, noise(m.Initiator, m.Responder, wire.MainMode, 0, 64))
			}
		})
		if err != nil {
			return err
		}
		p := newPace(rate)
		if a.rate != 0 {
			p.rate = min(rate, a.rate)
		}
		for i := rand.IntN(sources); ctx.Err() == nil; i++ {
			local := a.these(i % sources)
			if six {
				local = prefixes(i % sources)
			}
			s.send(local, 500, message1(cookie(), group))
			p.spend(1)
		}
		return nil
	}
}
