package netdev

import (
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/packet"
)

// BenchmarkWrite writes TCP segments of one flow, 48 a batch, which the kernel
// then drops: what it costs to hand them over.
func BenchmarkWrite(b *testing.B) {
	for _, o := range []Offloads{AllOffloads, NoOffloads} {
		b.Run(o.String(), func(b *testing.B) {
			d := openWith(b, TUNConfig{MTU: 1400, Offloads: o}, "10.90.0.1/24")
			q := d.Queues()[0]
			c := conversation{
				src: netip.MustParseAddr("10.90.0.2"), dst: netip.MustParseAddr("240.0.0.1"), protocol: packet.TCP, port: 1000,
				df: true, options: []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8},
			}
			var list [][]byte
			for range 48 {
				list = append(list, c.next(1348, 0x10))
			}
			head := string(list[0][:packet.HeadersLen(list[0])])
			packets := make([]Packet, len(list))
			for i := range packets {
				packets[i] = Packet{Buf: append(make([]byte, HeadRoom), list[i]...), Off: HeadRoom, End: HeadRoom + 1400}
			}
			b.SetBytes(1400)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(packets) == 0 {
					copy(packets[0].Buf[HeadRoom:], head)
					if n, err := q.WriteBatch(packets); n != len(packets) || err != nil {
						b.Fatal(n, err)
					}
				}
			}
		})
	}
}
