package main

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// firstMessages sends forged first messages that begin makes, each with a cookie
// of its own, from sources that source invents.
func firstMessages(begin func() []byte, source func() ([4]byte, uint16)) attack {
	return func(ctx context.Context, a *arsenal) error {
		m := begin()
		return a.flood(ctx, func(v *volley) {
			random(m[:8])
			src, port := source()
			v.udp(src, port, 500, m)
		})
	}
}

// atMost limits an attack to that many packets a second.
func atMost(rate float64, f attack) attack {
	return func(ctx context.Context, a *arsenal) error {
		if a.rate == 0 || a.rate > rate {
			a.rate = rate
		}
		return f(ctx, a)
	}
}

func fromAnywhere() ([4]byte, uint16) { return anywhere(), uint16(1024 + rand.IntN(60000)) }

// fromHonest is the address of the honest clients, in half of all cases with one
// of their ports.
func fromHonest() ([4]byte, uint16) {
	port := uint16(1024 + rand.IntN(60000))
	if rand.IntN(2) == 0 {
		port = firstOwnPort + uint16(2*rand.IntN(60))
	}
	return netip.MustParseAddr(honestAddr).As4(), port
}

// largeFirst sends first messages of 12 KB, most of it vendor IDs.
func largeFirst(ctx context.Context, a *arsenal) error {
	list := []wire.Payload{{Type: wire.PayloadSA, Body: offer(14)}}
	for range 11 {
		b := make([]byte, 1024)
		random(b)
		list = append(list, wire.Payload{Type: wire.PayloadVendor, Body: b})
	}
	m := message(wire.MainMode, cookie(), [8]byte{}, list...)
	return a.flood(ctx, func(v *volley) {
		random(m[:8])
		v.udp(anywhere(), uint16(1024+rand.IntN(60000)), 500, m)
	})
}

// garbage sends random bytes to both ports.
func garbage(ctx context.Context, a *arsenal) error {
	b := make([]byte, 200)
	return a.flood(ctx, func(v *volley) {
		random(b)
		if rand.IntN(4) == 0 {
			clear(b[:4]) // the marker of IKE on port 4500
		}
		v.udp(anywhere(), uint16(1024+rand.IntN(60000)), []uint16{500, 4500}[rand.IntN(2)], b[:28+rand.IntN(172)])
	})
}

// pieces sends IP fragments of datagrams that never become complete.
func pieces(ctx context.Context, a *arsenal) error {
	return a.flood(ctx, func(v *volley) {
		v.packet(anywhere(), unix.IPPROTO_UDP, uint16(rand.Uint32()), 0x2000|uint16(rand.IntN(4)*185), func(b []byte) int {
			binary.BigEndian.PutUint16(b, 500)
			binary.BigEndian.PutUint16(b[2:], 500)
			binary.BigEndian.PutUint16(b[4:], 4000)
			return 1480
		})
	})
}

// unknownCookies sends messages of SAs that do not exist.
func unknownCookies(ctx context.Context, a *arsenal) error {
	m := noise(cookie(), cookie(), wire.QuickMode, 1, 256)
	return a.flood(ctx, func(v *volley) {
		random(m[:16])
		m[18] = []byte{wire.MainMode, wire.QuickMode, wire.Informational}[rand.IntN(3)]
		v.udp(anywhere(), uint16(1024+rand.IntN(60000)), 500, m)
	})
}

// thirds sends third messages without a first one.
func thirds(ctx context.Context, a *arsenal) error {
	nonce := make([]byte, 16)
	m := message3(cookie(), cookie(), public(14), nonce)
	return a.flood(ctx, func(v *volley) {
		random(m[:16])
		v.udp(anywhere(), uint16(1024+rand.IntN(60000)), 500, m)
	})
}

// espNoise sends ESP packets with random SPIs, some of them with those of the
// first slots.
func espNoise(ctx context.Context, a *arsenal) error {
	b := make([]byte, 128)
	return a.flood(ctx, func(v *volley) {
		random(b)
		if rand.IntN(2) == 0 { // the index is the low 20 bits
			binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)&^0xfffff|uint32(rand.IntN(16)))
		}
		v.udp(anywhere(), uint16(1024+rand.IntN(60000)), 4500, b)
	})
}

// keepalives sends NAT keepalives (RFC 3948), some of them from the addresses of
// established sessions.
func keepalives(ctx context.Context, a *arsenal) error {
	return a.flood(ctx, func(v *volley) {
		src := anywhere()
		if rand.IntN(2) == 0 {
			src = [4]byte{198, 19, 255, byte(1 + rand.IntN(sessions))}
		}
		v.udp(src, 4500, 4500, []byte{0xff})
	})
}

// tooBig sends forged ICMP messages that claim that packets to the established
// sessions do not fit (RFC 1191).
func tooBig(ctx context.Context, a *arsenal) error {
	return a.flood(ctx, func(v *volley) {
		session := [4]byte{198, 19, 255, byte(1 + rand.IntN(sessions))}
		v.packet(anywhere(), unix.IPPROTO_ICMP, 0, 0, func(b []byte) int {
			inner := wire.UDP{
				Src: netip.AddrPortFrom(a.server, 4500), Dst: netip.AddrPortFrom(netip.AddrFrom4(session), 4500), Payload: make([]byte, 32),
			}.IP(64, false)
			binary.BigEndian.PutUint32(b, 3<<24|4<<16)
			binary.BigEndian.PutUint32(b[4:], 552)
			n := 8 + copy(b[8:], inner)
			binary.BigEndian.PutUint16(b[2:], internetSum(b[:n]))
			return n
		})
	})
}

func internetSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// aggressives sends forged first messages of Aggressive Mode.
func aggressives(ctx context.Context, a *arsenal) error {
	m := aggressive1(cookie(), 16, public(16), "staff")
	return a.flood(ctx, func(v *volley) {
		random(m[:8])
		v.udp(anywhere(), uint16(1024+rand.IntN(60000)), 500, m)
	})
}
