package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"
)

// A flood of first messages fills the sockets that it goes to, which nobody reads, and
// every other datagram arrives at the last.
func TestAFloodOfOneKindLeavesRoomForTheOther(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(at, func(t *testing.T) {
			sockets, err := Listen(netip.MustParseAddrPort(at), 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range sockets {
				defer s.Close()
			}
			if err := Apart(sockets, 8); err != nil {
				t.Fatal(err)
			}
			from, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(sockets[0].Bound()))
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			send := func(b []byte) {
				if _, err := from.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			const others = 100
			flood := make([]byte, 1<<10)
			binary.BigEndian.PutUint64(flood, 1)
			for i := range others {
				for range 200 {
					send(flood)
				}
				send(flood[:15]) // too short to have such bytes
				other := make([]byte, 28)
				binary.BigEndian.PutUint64(other[8:], []uint64{1, 1 << 40, 1 << 63}[i%3])
				other[27] = byte(i)
				send(other)
			}
			got := 0
			defer time.AfterFunc(20*time.Second, func() { _ = sockets[2].Close() }).Stop() // a test that fails ends
			packets := []Packet{{Data: make([]byte, 2048)}}
			if err := sockets[2].Read(packets, func(int) []Packet {
				if b := packets[0].Data; len(b) != 28 || int(b[27]) != got {
					t.Errorf("datagram %d is of %d bytes", got, len(b))
				}
				packets[0].Data = packets[0].Data[:2048]
				if got++; got == others {
					return nil
				}
				return packets
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
