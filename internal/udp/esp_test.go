package udp

import (
	"bytes"
	"net/netip"
	"testing"
)

func listenESP(t *testing.T, addr string) *Socket {
	t.Helper()
	s, err := ListenESP(netip.MustParseAddr(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
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
			server := listenESP(t, a.server)
			client := server
			if a.client != a.at {
				client = listenESP(t, a.client)
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
	s := listenESP(t, "127.5.0.5")
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
