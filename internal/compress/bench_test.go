package compress

import (
	"fmt"
	"testing"
)

// Cost and ratio of a packet of 1396 bytes, by what is in it.
func BenchmarkPack(b *testing.B) {
	e, d := new(Encoder), NewDecoder()
	all := packets()
	for _, c := range []Codec{mppc, deflate(15)} {
		for _, name := range []string{"text", "english", "noise", "an acknowledgement"} {
			p := all[name]
			buf, dst := room(p), make([]byte, MaxPacket)
			b.Run(fmt.Sprintf("%v/%s", c.Method, name), func(b *testing.B) {
				s, _ := started(c)
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					copy(buf[8:], p)
					n, _ = s.Pack(e, buf, 8, len(p), 1400, ipv4)
				}
				b.ReportMetric(float64(n)/float64(len(p)), "ratio")
			})
			b.Run(fmt.Sprintf("open/%v/%s", c.Method, name), func(b *testing.B) {
				s, r := started(c)
				copy(buf[8:], p)
				n, ok := s.Pack(e, buf, 8, len(p), 1400, ipv4)
				if !ok {
					return // it is sent as it is
				}
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				for b.Loop() {
					if c.Method == Deflate {
						r.next = 0
					}
					if _, fault := r.Open(d, dst, buf[8:8+n], false); fault != Fine {
						b.Fatal(fault)
					}
				}
			})
		}
	}
}
