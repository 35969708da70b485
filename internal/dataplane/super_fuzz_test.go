package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/netdev"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

// FuzzSuper has the device hand over anything at all, as a guest of this host
// may make it, who also says how it is to be cut and where its checksum belongs.
// What then reaches the client is packets for the client, no longer than it
// takes, and has nothing in it that the super-packet did not have.
func FuzzSuper(f *testing.F) {
	client := netip.MustParseAddr("10.83.0.1") // newWalks gives the session that
	f.Add(tcp4(farAddr, client, 4000), uint16(1348), uint16(20), uint16(16), uint16(0))
	f.Add(tcp4(farAddr, client, 1448), uint16(0), uint16(2), uint16(0), uint16(0))
	f.Add(tcp4(farAddr, client, 1448), uint16(0), uint16(20), uint16(16), uint16(900))
	f.Add(tcp4(farAddr, client, 300), uint16(1), uint16(1), uint16(1), uint16(128))
	f.Add(udp4(farAddr, client, 53, 5000), uint16(1472), uint16(20), uint16(6), uint16(576))
	f.Add(udp4(farAddr, mdns, 53, 5000), uint16(40), uint16(20), uint16(6), uint16(0))
	f.Add(syn4(farAddr, client), uint16(3), uint16(20), uint16(16), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, segment, start, offset, mtu uint16) {
		if len(b) > 9000 {
			return
		}
		const stale = 0xa5
		limit := MaxMTU
		if mtu > 0 {
			limit = min(max(128, int(mtu)), MaxMTU) // PPP lets a client ask for no less
		}
		b = bytes.ReplaceAll(bytes.Clone(b), []byte{stale}, []byte{0})
		w := newWalks(t, testSuite, 1, 1)
		w.conn.keep = true
		w.out.plane.cfg.Multicast = true
		w.sessions[0].SetNetwork([]netip.Prefix{netip.PrefixFrom(client, 32)}, limit)
		for _, room := range [][]byte{w.out.slab, w.out.segment} {
			for i := range room {
				room[i] = stale
			}
		}
		w.out.packets[0] = netdev.Packet{Buf: append(make([]byte, netdev.HeadRoom), b...), Off: netdev.HeadRoom, End: netdev.HeadRoom + len(b),
			Segment: int(segment), CsumStart: int(start), CsumOffset: int(offset)}
		w.out.handle(1)
		if w.out.plane.Stats().Panics > 0 {
			t.Fatal("it panicked")
		}
		if n := w.sessions[0].Counters().OutPackets; n != uint64(len(w.conn.kept)) {
			t.Errorf("%d packets counted, %d sent", n, len(w.conn.kept))
		}
		for i, d := range w.conn.kept {
			in := []ipsec.In{{SA: w.peers[binary.BigEndian.Uint32(d)], Buf: d, End: len(d)}}
			if ipsec.NewOpener().Open(in); in[0].Drop != ipsec.DropNone {
				t.Fatalf("datagram %d: %v", i, in[0].Drop)
			}
			inner := d[in[0].Off+udpHeaderLen : in[0].End]
			h, err := l2tp.ParseData(inner)
			if err != nil {
				t.Fatal(err)
			}
			ip := inner[h.Off+pppHeaderLen : h.End]
			p, ok := packet.Parse(ip)
			if !ok || p.Len != len(ip) || p.Len > limit || p.Dst != client && !p.Dst.IsMulticast() && p.Dst != broadcast {
				t.Fatalf("packet %d of %d bytes: %+v", i, len(ip), p)
			}
			if bytes.Contains(ip, []byte{stale, stale, stale}) { // two may be a checksum
				t.Fatalf("packet %d has bytes of another: %x", i, ip)
			}
		}
		w.conn.keep = false
		sent := w.conn.packets
		w.send() // nothing is locked, nothing is left
		if w.conn.packets != sent+1 && limit == MaxMTU {
			t.Errorf("%d packets left after it, want 1", w.conn.packets-sent)
		}
	})
}
