package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/l2tp"
)

// FuzzInner gives the inbound walk what a peer that has the keys may send: any
// inner datagram. FuzzOuter what anybody may.
func FuzzInner(f *testing.F) {
	udp := func(b []byte) []byte {
		h := []byte{0x06, 0xa5, 0x06, 0xa5, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(h[4:], uint16(8+len(b)))
		return append(h, b...)
	}
	data := func(frame []byte) []byte {
		return udp(append(l2tp.AppendDataHeader(nil, ourTunnel, ourSession, len(frame), nil), frame...))
	}
	client := netip.MustParseAddr("10.83.0.1") // newWalks gives the session that
	f.Add(udp(nil))
	f.Add(udp([]byte{0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0}))
	f.Add(data([]byte{0xff, 0x03}))
	f.Add(data([]byte{0x21}))
	f.Add(data(append([]byte{0xff, 0x03, 0, pppIPv4}, udp4(client, farAddr, 53, 10)...)))
	f.Add(data(append([]byte{0, pppIPv4}, syn4(client, farAddr)...)))
	for _, inner := range machinetest.Seeds(f, "esp") {
		if h, err := l2tp.ParseData(inner[8:]); err == nil {
			inner = data(inner[8+h.Off : 8+h.End]) // for a session that is there
		}
		f.Add(inner)
	}
	f.Fuzz(func(t *testing.T, inner []byte) {
		if len(inner) > 4000 {
			return
		}
		w := newWalks(t, testSuite, 1, 1)
		w.in.packets[0].Data = seal(t, w.peer[0].SA, inner)
		w.in.handle(1)
		check(t, w)
	})
}

func FuzzOuter(f *testing.F) {
	f.Add([]byte{0xff}, uint16(0))
	f.Add([]byte{0, 0, 0, 0, 1, 2, 3, 4}, uint16(0))
	f.Add([]byte{0, 0x10, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5}, uint16(0))
	f.Add(make([]byte, 100), uint16(3))
	for _, b := range machinetest.Seeds(f, "udp") {
		f.Add(b, uint16(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, segment uint16) {
		w := newWalks(t, testSuite, 1, 1)
		w.in.packets[0].Data, w.in.packets[0].Segment = b, int(segment)
		w.in.handle(1)
		if w.device.packets > 0 {
			t.Fatal("a packet of nobody reached the device")
		}
		check(t, w)
	})
}

// check that no panic was swallowed, and that nothing reached the device that
// the session may not send.
func check(t *testing.T, w *walks) {
	t.Helper()
	p := w.in.plane
	if p.Stats().Panics > 0 {
		t.Fatal("it panicked")
	}
	if n := p.Stats().InPackets; n != uint64(w.device.packets) {
		t.Fatalf("%d packets counted, %d reached the device", n, w.device.packets)
	}
}
