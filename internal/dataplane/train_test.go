package dataplane

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/adit-vpn/adit/internal/udp"
)

// cut returns the datagrams of what is sent.
func cut(sends []udp.Packet) (all [][]byte) {
	for _, p := range sends {
		for rest := p.Data; len(rest) > 0; {
			n := len(rest)
			if p.Segment > 0 {
				n = min(n, p.Segment)
			}
			all = append(all, rest[:n])
			rest = rest[n:]
		}
	}
	return all
}

func TestTrains(t *testing.T) {
	at := netip.MustParseAddrPort("198.51.100.7:4500")
	a, b := &live{View: &View{Remote: at}}, &live{View: &View{Remote: at}}
	raw := &live{View: &View{Remote: netip.AddrPortFrom(at.Addr(), 0)}}
	for _, v := range []struct {
		name    string
		views   []*live
		lengths []int
		gap     bool  // between two in the slab
		want    []int // bytes of what is sent
	}{
		{"one", []*live{a}, []int{100}, false, []int{100}},
		{"equal", []*live{a, a, a}, []int{100, 100, 100}, false, []int{300}},
		{"the last is shorter", []*live{a, a, a, a}, []int{100, 100, 40, 40}, false, []int{240, 40}},
		{"longer ones begin a train", []*live{a, a, a}, []int{40, 100, 100}, false, []int{40, 200}},
		{"without UDP", []*live{raw, raw}, []int{100, 100}, false, []int{100, 100}},
		{"not one behind another", []*live{a, a, a}, []int{100, 100, 100}, true, []int{100, 100, 100}},
		{"of two paths", []*live{a, a, b, b, a}, []int{100, 100, 100, 100, 100}, false, []int{200, 200, 100}},
	} {
		var x trains
		var sends []udp.Packet
		var want [][]byte
		slab := make([]byte, 0, 10000)
		for i, view := range v.views {
			if v.gap {
				slab = append(slab, 0)
			}
			d := bytes.Repeat([]byte{byte(i + 1)}, v.lengths[i])
			want = append(want, d)
			slab = append(slab, d...)
			sends = x.push(sends, view, slab, len(slab)-len(d), len(slab))
		}
		var lengths []int
		for _, p := range sends {
			lengths = append(lengths, len(p.Data))
		}
		if !slices.Equal(lengths, v.want) {
			t.Errorf("%s: sent %v, want %v", v.name, lengths, v.want)
		}
		for i, d := range cut(sends) {
			if !bytes.Equal(d, want[i]) {
				t.Errorf("%s: datagram %d is another", v.name, i)
			}
		}
	}
}

// Whatever the lengths, the datagrams on the wire are the ones pushed, and no
// train is more than the kernel takes.
func TestTrainsKeepDatagrams(t *testing.T) {
	at := netip.MustParseAddrPort("198.51.100.7:4500")
	views := []*live{{View: &View{Remote: at}}, {View: &View{Remote: at}}}
	r := rand.New(rand.NewPCG(1, 2))
	room := make([]byte, 250000)
	for range 300 {
		var x trains
		slab := room[:0]
		var sends []udp.Packet
		var want [][]byte
		view, length := views[0], 1400
		for range r.IntN(150) {
			if r.IntN(8) == 0 {
				view = views[r.IntN(2)]
			}
			if r.IntN(6) == 0 {
				length = 1 + r.IntN(1500)
			}
			d := make([]byte, length)
			for i := range d {
				d[i] = byte(r.Uint32())
			}
			want = append(want, d)
			slab = append(slab, d...)
			sends = x.push(sends, view, slab, len(slab)-len(d), len(slab))
		}
		got := cut(sends)
		if len(got) != len(want) {
			t.Fatalf("%d datagrams of %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("datagram %d is another", i)
			}
		}
		for _, p := range sends {
			if p.Segment > 0 && (len(p.Data) > maxTrain || (len(p.Data)+p.Segment-1)/p.Segment > maxSegments) {
				t.Fatalf("a train of %d bytes in segments of %d", len(p.Data), p.Segment)
			}
		}
	}
}
