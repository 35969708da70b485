package dataplane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

// arrivalsScript makes datagrams of a script, and says what must come of them.
type arrivalsScript struct {
	*walks
	datagrams [][]byte
	joins     []bool // a datagram lies in one train with that before it, if it can
	device    [][]byte
	ike       []string
	drops     [NumDrops]uint64
	keepalive uint64
}

// sealIP is an ESP packet of a client.
func (a *arrivalsScript) sealIP(t testing.TB, client int, ip []byte) []byte {
	t.Helper()
	frame := append([]byte{0xff, 0x03, 0, pppIPv4}, ip...)
	inner := []byte{0x06, 0xa5, 0x06, 0xa5, 0, 0, 0, 0}
	inner = append(l2tp.AppendDataHeader(inner, ourTunnel, ourSession, len(frame), nil), frame...)
	binary.BigEndian.PutUint16(inner[4:], uint16(len(inner)))
	return seal(t, a.peer[client].SA, inner)
}

// add appends what three bytes of a script mean.
func (a *arrivalsScript) add(t testing.TB, who, what, how byte) {
	t.Helper()
	clients := len(a.peer)
	client := int(who) % clients
	src := netip.AddrFrom4([4]byte{10, 83, 0, byte(1 + client)})
	length := []int{1300, 40, 1, 700, 1300, 1300, 9, 1300}[how&7]
	ip := udp4(src, farAddr, 53, length)
	for i := range ip[28:] {
		ip[28+i] = byte(len(a.datagrams)*7 + i)
	}
	b := a.sealIP(t, client, ip)
	switch what % 9 {
	case 1: // the same again
		a.datagrams, a.joins = append(a.datagrams, b), append(a.joins, how&0x80 == 0)
		a.device = append(a.device, ip)
		b = bytes.Clone(b)
		a.drops[DropESP(ipsec.DropReplay)]++
	case 2:
		b[8+(len(b)-9)*int(how>>3)/32] ^= 1 << (how & 7)
		a.drops[DropESP(ipsec.DropICV)]++
	case 3:
		b[2] ^= 0x40 // a slot that there is not
		a.drops[DropUnknownSPI]++
	case 4:
		b = []byte{natKeepalive}
		a.keepalive++
	case 5: // IKE, as long as others
		clear(b[:4])
		a.ike = append(a.ike, "4500 "+string(b[4:]))
	case 6:
		b = b[:2+how%6]
		a.drops[DropShort]++
	case 7: // the source of the other client
		b = a.sealIP(t, client, udp4(src.Next(), farAddr, 53, length))
		a.drops[DropSource]++
	case 8: // by the SPI of the other client
		binary.BigEndian.PutUint32(b, a.peer[(client+1)%clients].SA.SPI())
		a.drops[DropESP(ipsec.DropICV)]++
	default:
		a.device = append(a.device, ip)
	}
	a.datagrams, a.joins = append(a.datagrams, b), append(a.joins, how&0x80 == 0)
}

// trained is the datagrams as they are read, those that join as trains.
func (a *arrivalsScript) trained() (all []udp.Packet) {
	whole, count := false, 0
	for i, d := range a.datagrams {
		if n := len(all) - 1; n >= 0 && a.joins[i] && whole && count < 64 {
			last := &all[n]
			segment := max(last.Segment, len(last.Data)/count)
			if len(d) <= segment && len(last.Data)+len(d) <= 65000 {
				last.Data, last.Segment = append(last.Data, d...), segment
				whole = len(d) == segment
				count++
				continue
			}
		}
		all = append(all, udp.Packet{Data: bytes.Clone(d), Local: walkLocal, Remote: walkRemote})
		whole, count = true, 1
	}
	return all
}

// FuzzTrains reads datagrams of several clients, good ones, forged ones and such
// that are not ESP, in trains and alone: what reaches the device, the control side
// and the counters must be what each of them is by itself.
func FuzzTrains(f *testing.F) {
	f.Add(byte(0), []byte{})
	f.Add(byte(0), bytes.Repeat([]byte{0, 0, 0}, 60))
	f.Add(byte(1), []byte{0, 4, 0, 0, 4, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0, 0, 6, 3, 0, 0, 0x80, 0, 4, 0})
	f.Add(byte(2), bytes.Repeat([]byte{0, 0, 0, 1, 8, 0, 1, 2, 0x2f, 1, 1, 0, 2, 7, 0, 2, 3, 0, 0, 5, 0, 0, 0, 1}, 9))
	f.Fuzz(func(t *testing.T, suite byte, script []byte) {
		s := []ipsec.Suite{testSuite, {Cipher: ipsec.AESCBC, KeyBits: 128, Auth: ipsec.HMACSHA256_128}, {Cipher: ipsec.AESGCM16, KeyBits: 256}, {Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA512_256}}[suite%4]
		a, q := &arrivalsScript{walks: newWalks(t, s, 3, 3)}, &queued{}
		for n := 0; len(script) >= 3 && n < 300; script, n = script[3:], n+1 {
			a.add(t, script[0], script[1], script[2])
		}
		q.ready = a.trained()
		a.in.socket.Conn, a.in.queue = q, &queuedDevice{q: q}
		if err := a.in.run(); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		for i, b := range q.got {
			if i >= len(a.device) || !bytes.Equal(b, a.device[i]) {
				t.Fatalf("packet %d at the device is another: %x", i, b[:min(len(b), 60)])
			}
		}
		if len(q.got) != len(a.device) {
			t.Errorf("%d packets reached the device, want %d", len(q.got), len(a.device))
		}
		p := a.in.plane
		if got := p.cfg.Control.(*recorder).got; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", a.ike) {
			t.Errorf("%d ISAKMP messages, want %d: %q", len(got), len(a.ike), got)
		}
		drops := p.Drops()
		for _, d := range [][]uint64{drops, a.drops[:]} { // what another client has used is a replay at once
			d[DropESP(ipsec.DropICV)] += d[DropESP(ipsec.DropReplay)]
			d[DropESP(ipsec.DropReplay)] = 0
		}
		for i, got := range drops {
			if got != a.drops[i] {
				t.Errorf("%d dropped as %v, want %d", got, Drop(i), a.drops[i])
			}
		}
		if c := p.Stats(); c.InPackets != uint64(len(a.device)) || c.Keepalives != a.keepalive || c.Panics > 0 {
			t.Errorf("counted %+v, want %d packets and %d keepalives", c, len(a.device), a.keepalive)
		}
	})
}
