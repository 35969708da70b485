package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func oneESP(t *testing.T, addr string) *Socket {
	t.Helper()
	return someESP(t, addr, 1)[0]
}

func someESP(t *testing.T, addr string, n int) []*Socket {
	t.Helper()
	all, err := ListenESP(netip.MustParseAddr(addr), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range all {
			_ = s.Close()
		}
	})
	return all
}

// Of several sockets each has its share of the SPIs, and together they have every packet
// once.
func TestRawESPIsSharedBySPI(t *testing.T) {
	for _, at := range []string{"127.5.0.6", "::1"} {
		const n, packets = 3, 30
		servers := someESP(t, at, n)
		to := netip.AddrPortFrom(netip.MustParseAddr(at), 0)
		var out []Packet
		for spi := range uint32(packets) {
			out = append(out, Packet{Data: append(binary.BigEndian.AppendUint32(nil, 1<<20|spi), "and so on"...), Local: to, Remote: to})
		}
		if sent, err := servers[0].WriteBatch(out); sent != packets || err != nil {
			t.Fatal(sent, err)
		}
		for i, s := range servers {
			want := uint32(0)
			for _, p := range readAll(t, s, packets/n) {
				spi := binary.BigEndian.Uint32(p.Data)
				if spi%n != uint32(i) || spi <= want {
					t.Errorf("%s: socket %d has SPI %#x behind %#x", at, i, spi, want)
				}
				want = spi
			}
			wantNothing(t, s)
		}
	}
}

// wantNothing checks that nothing waits in a socket.
func wantNothing(t *testing.T, s *Socket) {
	t.Helper()
	t.Helper()
	_ = s.raw.Control(func(fd uintptr) {
		if n, _, err := unix.Recvfrom(int(fd), make([]byte, 100), unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("%d bytes more came: %v", n, err)
		}
	})
}

// What arrives is the ESP packet and nothing else, with addresses and without
// ports; a train goes out as its packets.
func TestRawESPBothWays(t *testing.T) {
	for _, a := range []struct{ server, at, client string }{
		{"127.5.0.1", "127.5.0.1", "127.5.0.2"},
		{"0.0.0.0", "127.5.0.3", "127.5.0.4"},
		{"::1", "::1", "::1"},
	} {
		t.Run(a.server, func(t *testing.T) {
			server := oneESP(t, a.server)
			client := server
			if a.client != a.at {
				client = oneESP(t, a.client)
			}
			from := netip.AddrPortFrom(netip.MustParseAddr(a.client), 0)
			to := netip.AddrPortFrom(netip.MustParseAddr(a.at), 0)
			packets := bytes.Repeat([]byte("ESP packet "+a.server+";"), 3)
			n, err := client.WriteBatch([]Packet{{Data: packets, Segment: len(packets) / 3, Local: from, Remote: to}})
			if n != 1 || err != nil {
				t.Fatal(n, err)
			}
			for _, p := range readAll(t, server, 3) {
				if p.Local != to || p.Remote != from || !bytes.Equal(p.Data, packets[:len(packets)/3]) {
					t.Errorf("%q came from %v to %v", p.Data, p.Remote, p.Local)
				}
			}
		})
	}
}

func TestRawESPAllocatesNothing(t *testing.T) {
	s := oneESP(t, "127.5.0.5")
	to := netip.MustParseAddrPort("127.5.0.5:0")
	in := buffers(1)
	room := in[0].Data
	out := []Packet{{Data: make([]byte, 500), Local: to, Remote: to}}
	if n := testing.AllocsPerRun(200, func() {
		if n, err := s.WriteBatch(out); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		in[0].Data = room
		if err := s.Read(in, enough); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
