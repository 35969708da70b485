package netdev

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/internal/packet"
)

// conversation makes the packets of one flow from one device to the other.
type conversation struct {
	src, dst netip.Addr
	protocol byte
	port     uint16
	df       bool
	options  []byte
	size     int
	seq      uint32
	id       uint16
}

// next is a whole packet with a right checksum.
func (c *conversation) next(payload int, flags byte) []byte {
	head := packet.HeaderLen(c.src)
	t, at := 8, 6
	if c.protocol == packet.TCP {
		t, at = 20+len(c.options), 16
	}
	b := make([]byte, head+t+payload)
	for i := range b[head+t:] {
		b[head+t+i] = byte(rand.Uint32())
	}
	packet.Put(b, c.protocol, 64, c.src, c.dst)
	body := b[head:]
	binary.BigEndian.PutUint16(body, c.port)
	binary.BigEndian.PutUint16(body[2:], 7000)
	if c.protocol == packet.TCP {
		binary.BigEndian.PutUint32(body[4:], c.seq)
		body[12], body[13], body[15] = byte(t)<<2, flags, 99
		copy(body[20:], c.options)
	} else {
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
	}
	packet.PutSum(body, at, c.protocol, c.src, c.dst)
	if c.src.Is4() {
		binary.BigEndian.PutUint16(b[4:], c.id)
		if c.df {
			b[6] = 0x40
		}
		fixHeader(b)
	}
	c.seq += uint32(payload)
	c.id++
	return b
}

func fixHeader(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:20]))
}

// forwarded is what a router makes of a packet. Fields without meaning are zeroed, before
// and after: the identification of what may not be fragmented.
func forwarded(b []byte, hops byte) string {
	b = bytes.Clone(b)
	if b[0]>>4 == 6 {
		b[7] -= hops
		return string(b)
	}
	b[8] -= hops
	if b[6]&0x40 != 0 {
		b[4], b[5] = 0, 0
	}
	fixHeader(b)
	return string(b)
}

// order is what the order of packets is kept within.
func order(b []byte) string {
	at := packet.HeadersLen(b)
	if at == 0 {
		return "fragments"
	}
	h, _ := packet.Parse(b)
	return fmt.Sprint(h.Src, h.Dst, h.Protocol, binary.BigEndian.Uint16(b[h.HeaderLen:]))
}

// routes opens two devices between which the kernel forwards. What leaves by
// the second is as it is on the wire: the kernel has to cut super-packets.
func routes(t *testing.T, x int, from Offloads) (a, b *device) {
	t.Helper()
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	a = openWith(t, TUNConfig{MTU: 1400, Offloads: from}, fmt.Sprintf("10.88.%d.1/24", x), fmt.Sprintf("fd88:%d::1/64", x))
	b = openWith(t, TUNConfig{MTU: 1400, Offloads: NoOffloads}, fmt.Sprintf("10.89.%d.1/24", x), fmt.Sprintf("fd89:%d::1/64", x))
	for _, d := range []*device{a, b} {
		link, err := netlink.LinkByName(d.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetTxQLen(link, 5000); err != nil { // nothing is lost between two reads
			t.Fatal(err)
		}
	}
	return a, b
}

func conversations(x int) (list []*conversation) {
	for i := range 4 {
		port := uint16(1000 + i)
		size := []int{1348, 1, 333, 100}[i]
		options := [][]byte{nil, {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 1, 0}, nil}[i]
		for _, p := range []byte{packet.TCP, packet.UDP} {
			four := conversation{protocol: p, port: port, size: min(size, 1328), options: options, seq: rand.Uint32(), df: i%2 == 0, id: uint16(rand.Uint32())}
			four.src = netip.AddrFrom4([4]byte{10, 88, byte(x), byte(2 + i)})
			four.dst = netip.AddrFrom4([4]byte{10, 89, byte(x), 9})
			six := four
			six.src = netip.MustParseAddr(fmt.Sprintf("fd88:%d::%d", x, 2+i))
			six.dst = netip.MustParseAddr(fmt.Sprintf("fd89:%d::9", x))
			list = append(list, &four, &six)
		}
	}
	return list
}

// exam is a batch of packets of many flows, some of which must not be joined, and must
// arrive exactly as they are, errors included.
func exam(flows []*conversation) (list [][]byte) {
	for len(list) < 300 {
		c := flows[rand.IntN(len(flows))]
		for range 1 + rand.IntN(12) {
			b := c.next(c.size, 0x10)
			head := packet.HeaderLen(c.src)
			switch rand.IntN(40) {
			case 0:
				b[len(b)-1]++ // the checksum is wrong
			case 1:
				b = c.next(c.size, 0x18)
			case 2:
				b = c.next(c.size/2, 0x10)
			case 3:
				b = c.next(0, 0x10)
			case 4:
				b = c.next(c.size, byte(rand.Uint32()))
			case 5:
				c.id += 7
			case 6:
				c.seq += 1000
			case 7:
				if c.src.Is4() {
					b[1] = 0xb8
					fixHeader(b)
				} else {
					b[3]++
				}
			case 8:
				if c.protocol == packet.TCP {
					b[head+12] = 0xf0 // longer than the packet, perhaps
				} else {
					b[head+5]++
				}
			case 9:
				if c.protocol == packet.UDP && c.src.Is4() {
					b[head+6], b[head+7] = 0, 0
				}
			case 10:
				if c.src.Is4() {
					b[6] |= 0x20 // a fragment
					fixHeader(b)
				}
			}
			list = append(list, b)
		}
	}
	return list
}

// What the kernel forwards of a batch is the batch, whatever it consists of and
// whichever super-packets lie between.
func TestForwardedPacketsAreThoseThatCame(t *testing.T) {
	for i, o := range []Offloads{AllOffloads, TCPOffloads, NoOffloads} {
		t.Run(o.String(), func(t *testing.T) {
			a, b := routes(t, i, o)
			flows := conversations(i)
			awaitForwarding(t, a, b, flows)
			pushed := 0
			before := received(t, a)
			for range 20 {
				list := exam(flows)
				pushed += len(list)
				write(t, a, list)
				compare(t, list, collect(t, b, len(list)))
			}
			if became := int(received(t, a) - before); (became < pushed*3/4) != (o < NoOffloads) {
				t.Errorf("%d packets became %d", pushed, became)
			}
		})
	}
}

// Users write what they like: the device drops rubbish, and goes on.
func TestRubbish(t *testing.T) {
	a, b := routes(t, 9, AllOffloads)
	flows := conversations(9)
	awaitForwarding(t, a, b, flows)
	for range 200 {
		var packets []Packet
		for range rand.IntN(50) {
			p := Packet{Buf: make([]byte, HeadRoom+rand.IntN(200)), Off: HeadRoom}
			p.End = len(p.Buf)
			for i := range p.Buf {
				p.Buf[i] = byte(rand.Uint32())
			}
			if p.End > p.Off && rand.IntN(2) == 0 {
				p.Buf[p.Off] = []byte{0x45, 0x60, 0x4f, 0x46}[rand.IntN(4)]
			}
			packets = append(packets, p)
		}
		if n, err := a.Queues()[0].WriteBatch(packets); n > len(packets) || err != nil {
			t.Fatal(n, err)
		}
	}
	list := exam(flows)
	write(t, a, list)
	compare(t, list, collect(t, b, len(list)))
}

// awaitForwarding waits until both families are forwarded: IPv6 is ready a while
// after its address was given.
func awaitForwarding(t *testing.T, a, b *device, flows []*conversation) {
	t.Helper()
	for _, c := range flows[:2] {
		for done := false; !done; {
			write(t, a, [][]byte{c.next(10, 0x10)})
			q := b.queues[0].(*named)
			if err := q.file.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			for {
				packets := make([]Packet, 8)
				n, err := once(q, testRoom(), packets)
				if err != nil {
					break
				}
				for _, p := range packets[:n] {
					h, ok := packet.Parse(p.Buf[p.Off:p.End])
					done = done || ok && h.Dst == c.dst
				}
			}
		}
	}
}

func write(t *testing.T, d *device, list [][]byte) {
	t.Helper()
	var packets []Packet
	for _, b := range list {
		p := Packet{Buf: append(make([]byte, HeadRoom), b...), Off: HeadRoom}
		p.End = len(p.Buf)
		packets = append(packets, p)
	}
	if n, err := d.Queues()[0].WriteBatch(packets); n != len(list) || err != nil {
		t.Fatalf("%d of %d packets written, %v", n, len(list), err)
	}
}

// collect reads that many packets for the far side.
func collect(t *testing.T, d *device, count int) (list [][]byte) {
	t.Helper()
	q := d.queues[0].(*named)
	if err := q.file.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for len(list) < count {
		packets := make([]Packet, 64)
		n, err := once(q, testRoom(), packets)
		if err != nil {
			t.Errorf("%d of %d packets came", len(list), count)
			return list
		}
		for _, p := range packets[:n] {
			b := p.Buf[p.Off:p.End]
			if p.Segment != 0 || p.CsumStart != 0 {
				t.Fatal("a super-packet without offloads")
			}
			if h, ok := packet.Parse(b); ok && !h.Dst.IsMulticast() {
				list = append(list, b)
			}
		}
	}
	return list
}

func compare(t *testing.T, pushed, came [][]byte) {
	t.Helper()
	want := map[string][]string{}
	for _, b := range pushed {
		want[order(b)] = append(want[order(b)], forwarded(b, 1))
	}
	for i, b := range came {
		k := order(b)
		if len(want[k]) == 0 {
			t.Fatalf("packet %d of %s is one too many", i, k)
		}
		if got := forwarded(b, 0); got != want[k][0] {
			t.Fatalf("packet %d of %s:\n%x, want\n%x", i, k, got[:min(len(got), 80)], want[k][0][:min(len(want[k][0]), 80)])
		}
		want[k] = want[k][1:]
	}
}
