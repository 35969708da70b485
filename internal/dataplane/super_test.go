package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/ipsec"
)

// tcpHead is how many bytes the headers of tcp4 have.
const tcpHead = 20 + 32

// tcp4 is a TCP segment of n bytes, in an IPv4 packet or super-packet, as a
// device with offloads has it: of its checksum there is the pseudo-header's.
func tcp4(src, dst netip.Addr, n int) []byte {
	b := ip4(src, dst, packet.TCP, 32+n)
	tcp := b[20:]
	binary.BigEndian.PutUint16(tcp, 5001)
	binary.BigEndian.PutUint32(tcp[4:], 0xfffffff0) // it runs over
	tcp[12], tcp[13] = 8<<4, 0x18                   // ACK, PSH
	copy(tcp[20:], []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8})
	for i := range tcp[32:] {
		tcp[32+i] = byte(i * 7 >> 3)
	}
	binary.BigEndian.PutUint16(tcp[16:], ^packet.Fold(packet.PseudoSum(src, dst, packet.TCP, len(tcp))))
	return b
}

// super is the super-packet of a TCP segment.
func super(b []byte, segment int) netdev.Packet {
	return netdev.Packet{Buf: b, End: len(b), Segment: segment, HeaderLen: tcpHead, CsumStart: 20, CsumOffset: 16}
}

// whole sends a packet's checksum through a slow sum and checks that it is
// right.
func whole(t testing.TB, b []byte) packet.IP {
	t.Helper()
	h, ok := packet.Parse(b)
	if !ok || h.Len != len(b) || packet.Checksum(b[:20]) != 0 {
		t.Fatalf("it is not a packet: %x", b[:min(len(b), 40)])
	}
	if packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, h.Protocol, len(b)-20), b[20:])) != 0 {
		t.Fatalf("its checksum is wrong: %x", b[:40])
	}
	return h
}

// joined checks the segments of a super-packet, and returns their payload.
func joined(t testing.TB, from []byte, segment int, packets [][]byte) (payload []byte) {
	t.Helper()
	for i, b := range packets {
		whole(t, b)
		seq := binary.BigEndian.Uint32(from[24:]) + uint32(len(payload))
		if got := binary.BigEndian.Uint32(b[24:]); got != seq {
			t.Fatalf("segment %d has sequence number %d, want %d", i, got, seq)
		}
		if last := i == len(packets)-1; (b[33]&8 != 0) != last || !last && len(b) != tcpHead+segment {
			t.Fatalf("segment %d of %d: %d bytes, flags %02x", i, len(packets), len(b), b[33])
		}
		payload = append(payload, b[tcpHead:]...)
	}
	return payload
}

func TestSuperPacketsReachTheClientAsSegments(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		for _, n := range []int{1, 1348, 1349, 1348 * 10, 60000, 65535 - tcpHead} {
			for _, segment := range []int{1348, 536} {
				before := r.session.Counters()
				b := tcp4(farAddr, clientAddr, n)
				r.device.InjectSuper(0, super(b, segment))
				var got [][]byte
				octets := 0
				for range (n + segment - 1) / segment {
					got = append(got, r.client.nextIP())
					octets += len(got[len(got)-1])
				}
				if !bytes.Equal(joined(t, b, segment, got), b[tcpHead:]) {
					t.Fatalf("%d bytes in segments of %d came as others", n, segment)
				}
				c := r.session.Counters()
				if c.OutPackets-before.OutPackets != uint64(len(got)) || c.OutOctets-before.OutOctets != uint64(octets) {
					t.Errorf("%d bytes in segments of %d: counted %+v after %+v", n, segment, c, before)
				}
			}
		}
		r.wantDrop(DropIP, 0, "all of it was right")
		b := tcp4(farAddr, clientAddr, 3000)
		b[9] = packet.ICMP
		r.device.InjectSuper(0, super(b, 1348))
		r.wantDrop(DropIP, 1, "nobody can cut it")
	})
}

func TestNumberedSegments(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.session.Sequencing = true
		r.device.InjectSuper(0, super(tcp4(farAddr, clientAddr, 13480), 1348))
		for i := range 10 {
			inner := r.client.next()
			if n := binary.BigEndian.Uint16(inner[16:]); inner[8]&0x08 == 0 || n != uint16(i) {
				t.Fatalf("segment %d has number %d", i, n)
			}
		}
	})
}

func TestPartialChecksumsAreCompleted(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		b := tcp4(farAddr, clientAddr, 77)
		r.device.InjectSuper(0, super(b, 0))
		got := r.client.nextIP()
		if whole(t, got); !bytes.Equal(got[40:], b[40:]) {
			t.Error("it came as another")
		}
		syn := syn4(farAddr, clientAddr)
		binary.BigEndian.PutUint16(syn[36:], ^packet.Fold(packet.PseudoSum(farAddr, clientAddr, packet.TCP, 24)))
		r.device.InjectSuper(0, super(syn, 0))
		got = r.client.nextIP()
		if whole(t, got); binary.BigEndian.Uint16(got[42:]) != 1360 {
			t.Errorf("the segment size is %d", binary.BigEndian.Uint16(got[42:]))
		}
		bad := super(b, 0)
		bad.CsumOffset = len(b)
		r.device.InjectSuper(0, bad)
		r.wantDrop(DropIP, 1, "a checksum outside of its packet")
	})
}

// A guest of this host says itself where its packet's checksum belongs. It cannot
// have it written over the IP header, which was judged before: over the length,
// which fragments are made by, or over an address.
func TestPartialChecksumsSpareTheHeader(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		n := uint64(0)
		for _, payload := range []int{77, 1448} {
			for _, at := range [][2]int{{1, 1}, {2, 0}, {12, 4}, {19, 0}} {
				bad := super(tcp4(farAddr, clientAddr, payload), 0)
				bad.CsumStart, bad.CsumOffset = at[0], at[1]
				r.device.InjectSuper(0, bad)
				n++
				r.wantDrop(DropIP, n, "a checksum over the header")
			}
		}
		if n := r.plane.Stats().Panics; n != 0 {
			t.Errorf("%d panics", n)
		}
	})
}

// A super-packet of more packets than any host's TCP makes is dropped: all others would
// wait for it.
func TestSuperPacketsOfVeryManyPackets(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.device.InjectSuper(0, super(tcp4(farAddr, clientAddr, 60000), 1))
		r.wantDrop(DropIP, 1, "60,000 packets")
		if n := r.session.Counters().OutPackets; n != 0 {
			t.Errorf("%d packets were sent", n)
		}
		b := tcp4(farAddr, clientAddr, packet.MaxJoined) // of one client, to another
		r.device.InjectSuper(0, super(b, 1))
		var got [][]byte
		for range packet.MaxJoined {
			got = append(got, r.client.nextIP())
		}
		if !bytes.Equal(joined(t, b, 1, got), b[tcpHead:]) {
			t.Error("it came as another")
		}
	})
}

// A super-packet of an IPv4 host without DF has packets that must be cut again;
// with DF its sender learns once what fits.
func TestSegmentsLongerThanTheSession(t *testing.T) {
	inRig(t, Config{}, func(r *rig) {
		r.session.SetNetwork([]netip.Prefix{netip.PrefixFrom(clientAddr, 32)}, 1300)
		b := tcp4(farAddr, clientAddr, 4*1348+100)
		r.device.InjectSuper(0, super(b, 1348))
		var segments [][]byte
		for range 5 {
			var got []byte
			for more := true; more; {
				p := r.client.nextIP()
				h, ok := packet.Parse(p)
				if !ok || h.Len > 1300 || h.Offset > 0 && h.Offset != len(got)-20 {
					t.Fatalf("%+v after %d bytes", h, len(got))
				}
				if h.Offset == 0 {
					got = append(got, p...)
				} else {
					got = append(got, p[20:]...)
				}
				more = h.More
			}
			binary.BigEndian.PutUint16(got[2:], uint16(len(got)))
			binary.BigEndian.PutUint16(got[6:], 0)
			binary.BigEndian.PutUint16(got[10:], 0)
			binary.BigEndian.PutUint16(got[10:], packet.Checksum(got[:20]))
			segments = append(segments, got)
		}
		if !bytes.Equal(joined(t, b, 1348, segments), b[tcpHead:]) {
			t.Error("the fragments are of other segments")
		}
		b[6] = 0x40
		r.device.InjectSuper(0, super(b, 1348))
		synctest.Wait()
		h, ok := packet.Parse(r.device.Poll())
		if !ok || h.Protocol != packet.ICMP || h.Dst != farAddr {
			t.Errorf("answered with %+v", h)
		}
		if r.device.Poll() != nil {
			t.Error("answered more than once")
		}
		r.wantDrop(DropTooBig, 5, "five segments were too long")
		r.device.InjectSuper(0, super(b, 1248)) // fits
		r.client.nextIP()
	})
}

// What a batch has for several clients, super-packets and others in any order,
// comes to each in the order in which it was sent.
func TestMixedSessionsInOneBatch(t *testing.T) {
	const clients = 5
	w := newWalks(t, testSuite, clients, clients)
	var batch []netdev.Packet
	want := make([][][]byte, clients)
	for i := range 20 {
		c := (i*i + 3) % clients
		to := netip.AddrFrom4([4]byte{10, 83, 0, byte(1 + c)})
		if i%3 == 0 {
			b := udp4(farAddr, to, uint16(i), 10+i)
			batch = append(batch, netdev.Packet{Buf: b, End: len(b)})
			want[c] = append(want[c], b)
			continue
		}
		b := tcp4(farAddr, to, 700*i)
		binary.BigEndian.PutUint32(b[24:], uint32(i)<<16)
		batch = append(batch, super(b, 1000))
		var cutter packet.Cutter
		cutter.Reset(b, 1000)
		for range cutter.Segments() {
			segment := make([]byte, 2000)
			want[c] = append(want[c], segment[:cutter.Next(segment)])
		}
	}
	w.conn.keep = true
	copy(w.out.packets, batch)
	w.out.handle(len(batch))
	got := make([][][]byte, clients)
	for _, d := range w.conn.kept {
		in := []ipsec.In{{SA: w.peers[binary.BigEndian.Uint32(d)], Buf: d, End: len(d)}}
		if ipsec.NewOpener().Open(in); in[0].Drop != ipsec.DropNone {
			t.Fatal(in[0].Drop)
		}
		ip := d[in[0].Off+20 : in[0].End]
		c := int(ip[19]) - 1
		got[c] = append(got[c], ip)
	}
	for c := range clients {
		if len(got[c]) != len(want[c]) {
			t.Fatalf("client %d got %d packets, want %d", c, len(got[c]), len(want[c]))
		}
		for i := range got[c] {
			if !bytes.Equal(got[c][i], want[c][i]) {
				t.Fatalf("packet %d of client %d is another", i, c)
			}
		}
	}
}

// The ESP packets of super-packets lie one behind another: they are written as
// trains, without a copy.
func TestSuperPacketsLeaveAsTrains(t *testing.T) {
	w := newWalks(t, testSuite, 1, 1)
	client := netip.MustParseAddr("10.83.0.1")
	for i := range 2 {
		w.out.packets[i] = super(tcp4(farAddr, client, 48*1348), 1348)
	}
	w.out.handle(2)
	if w.conn.packets != 96 || w.conn.trains != 3 {
		t.Errorf("%d packets left in %d trains, want 96 in 3", w.conn.packets, w.conn.trains)
	}
}

// A panic in the middle of a batch costs the batch: neither a lock nor
// anything of it is left.
func TestPanicInMidBatchOutbound(t *testing.T) {
	w := newWalks(t, testSuite, 1, 1)
	client := netip.MustParseAddr("10.83.0.1")
	send := func(n int) {
		for i := range n {
			w.out.packets[i] = super(tcp4(farAddr, client, 40*1348), 1348)
		}
		w.out.handle(n)
	}
	w.conn.panics = true
	send(7) // more than the slab holds
	w.conn.panics = false
	if n := w.out.plane.Drops()[DropPanic]; n != 7 || w.out.plane.Stats().Panics != 1 {
		t.Errorf("%d dropped by a panic, want the batch of 7", n)
	}
	send(1)
	if w.conn.packets != 40 {
		t.Errorf("%d packets left after it, want 40", w.conn.packets)
	}
}

func TestSuperPacketsDoNotAllocate(t *testing.T) {
	w := newWalks(t, testSuite, 1, 1)
	batch := []netdev.Packet{
		super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 48*1348), 1348),
		super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 48*1348), 1348),
		super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 45*1448), 1448), // in fragments
	}
	if n := testing.AllocsPerRun(20, func() {
		copy(w.out.packets, batch)
		w.out.handle(len(batch))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if w.conn.packets != 21*(2*48+2*45) {
		t.Errorf("%d packets were sent", w.conn.packets)
	}
}

func BenchmarkOutSuper(b *testing.B) {
	w := newWalks(b, testSuite, 1, 1)
	p := super(tcp4(farAddr, netip.MustParseAddr("10.83.0.1"), 48*1348), 1348)
	b.SetBytes(2 * 48 * 1400)
	b.ReportAllocs()
	for b.Loop() {
		w.out.packets[0], w.out.packets[1] = p, p
		w.out.handle(2)
	}
}
