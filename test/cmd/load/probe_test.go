package main

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/udp"
)

// The packets that a client makes itself would be accepted by every host.
func TestDatagramIsWhole(t *testing.T) {
	from, to := netip.MustParseAddrPort("10.83.0.2:9"), netip.MustParseAddrPort("10.83.0.1:7")
	for size := ipLen + udpLen; size <= innerMTU; size++ {
		b := datagram(from, to, size)
		h, ok := packet.Parse(b)
		if !ok || h.Len != size || h.Src != from.Addr() || h.Dst != to.Addr() || h.Protocol != packet.UDP {
			t.Fatalf("%d bytes: %+v", size, h)
		}
		if checksum(b[:ipLen]) != 0 {
			t.Fatalf("%d bytes: the header's checksum is wrong", size)
		}
		pseudo := append(append([]byte(nil), b[12:20]...), 0, 17, b[24], b[25])
		all := append(pseudo, b[ipLen:]...)
		if len(all)%2 != 0 {
			all = append(all, 0)
		}
		if checksum(all) != 0 {
			t.Fatalf("%d bytes: UDP's checksum is wrong", size)
		}
	}
}

func TestSeenReadsHeaders(t *testing.T) {
	b := datagram(netip.MustParseAddrPort("10.83.0.2:9"), netip.MustParseAddrPort("10.83.0.1:7"), 300)
	s, ok := parseSeen(b[:64])
	if !ok || s.from != 9 || s.to != 7 || s.length != 280 {
		t.Errorf("%+v, %v", s, ok)
	}
	for n := range ipLen + udpLen {
		if _, ok := parseSeen(b[:n]); ok {
			t.Errorf("%d bytes were enough", n)
		}
	}
	b[9] = 6
	if _, ok := parseSeen(b); ok {
		t.Error("TCP was taken for UDP")
	}
}

// The capture sees both directions of one address, in order, and nothing else.
func TestCaptureSeesBothWays(t *testing.T) {
	watched := netip.MustParseAddr("127.9.0.1")
	c, err := newCapture("lo", watched, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	listen := func(addr string) *net.UDPConn {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	one, other, third := listen("127.9.0.1:0"), listen("127.9.0.2:0"), listen("127.9.0.3:0")
	port := func(c *net.UDPConn) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }
	send := func(from, to *net.UDPConn, n int) {
		if _, err := from.WriteToUDPAddrPort(make([]byte, n), to.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().UnixNano()
	send(third, other, 11)
	send(one, other, 22)
	send(other, one, 33)
	// The loopback device shows every packet twice, outgoing and incoming.
	last := before
	for _, want := range []seen{
		{out: true, from: port(one), to: port(other), length: 30}, {from: port(one), to: port(other), length: 30},
		{out: true, from: port(other), to: port(one), length: 41}, {from: port(other), to: port(one), length: 41},
	} {
		s, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		at := s.at
		s.at = 0
		if s != want || at < last || at > time.Now().UnixNano() {
			t.Errorf("saw %+v at %d, want %+v", s, at, want)
		}
		last = at
	}
}

func TestCutLeavesNothingOut(t *testing.T) {
	remote := netip.MustParseAddrPort("192.0.2.1:4500")
	got := cut(nil, udp.Packet{Data: []byte("aaabbbcc"), Segment: 3, Remote: remote})
	if len(got) != 3 || string(got[0].Data) != "aaa" || string(got[1].Data) != "bbb" || string(got[2].Data) != "cc" || got[2].Remote != remote || got[2].Segment != 0 {
		t.Errorf("%+v", got)
	}
	if got := cut(nil, udp.Packet{Data: []byte("aaa")}); len(got) != 1 || string(got[0].Data) != "aaa" {
		t.Errorf("%+v", got)
	}
}

func TestDiscardedDatagramsAreCounted(t *testing.T) {
	d, err := discardUDP("127.9.0.4:5001")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	conn, err := net.DialUDP("udp4", nil, d.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 1000
	for range n {
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.dropped()
	if err != nil || got < n-10 || got > n {
		t.Errorf("of %d, %d were counted (%v)", n, got, err)
	}
}
