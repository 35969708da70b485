package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// tcp4 and tcp6 build a SYN with the given options.
func tcp4(options ...byte) []byte { return tcp(false, options) }
func tcp6(options ...byte) []byte { return tcp(true, options) }

func tcp(six bool, options []byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	segment := make([]byte, 20, 20+len(options))
	segment = append(segment, options...)
	binary.BigEndian.PutUint16(segment, 40000)
	binary.BigEndian.PutUint16(segment[2:], 443)
	segment[12], segment[13] = byte(len(segment)/4)<<4, flagSYN
	b := make([]byte, minHeader4)
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.7")
	if six {
		b = make([]byte, header6)
		src, dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:1::2")
		put6(b, len(segment), TCP, src, dst)
	} else {
		put4(b, minHeader4+len(segment), TCP, src, dst)
	}
	binary.BigEndian.PutUint16(segment[16:], Fold(Sum(PseudoSum(src, dst, TCP, len(segment)), segment)))
	return append(b, segment...)
}

func mustParse(t *testing.T, b []byte) IP {
	t.Helper()
	h, ok := Parse(b)
	if !ok {
		t.Fatalf("%x does not parse", b)
	}
	return h
}

// sound reports whether every checksum of a TCP or ICMP packet is right.
func sound(t *testing.T, b []byte) bool {
	t.Helper()
	h := mustParse(t, b)
	if h.Is4() && Checksum(b[:h.HeaderLen]) != 0 {
		return false
	}
	body := b[h.HeaderLen:h.Len]
	if h.Protocol == ICMP {
		return Checksum(body) == 0
	}
	return Fold(Sum(PseudoSum(h.Src, h.Dst, h.Protocol, len(body)), body)) == 0
}

// RFC 1071, section 3: the sum of this example is ddf2.
func TestChecksum(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := Checksum(b); got != ^uint16(0xddf2) {
		t.Errorf("got %04x", got)
	}
	for range 2000 {
		b := make([]byte, rand.IntN(80))
		for i := range b {
			b[i] = byte(rand.Uint32()) | byte(rand.IntN(2)*255)
		}
		var want uint32
		for i, v := range b {
			want += uint32(v) << (8 * (1 - i%2))
		}
		for want > 0xffff {
			want = want>>16 + want&0xffff
		}
		if got := Checksum(b); got != ^uint16(want) {
			t.Fatalf("%x: got %04x, want %04x", b, got, ^uint16(want))
		}
	}
}

func TestParse(t *testing.T) {
	for _, b := range [][]byte{tcp4(), tcp6(), tcp4(2, 4, 5, 180)} {
		h := mustParse(t, append(bytes.Clone(b), 0, 0))
		if h.Len != len(b) || h.Protocol != TCP || h.HeaderLen == 0 {
			t.Errorf("%+v", h)
		}
		for n := range b {
			if _, ok := Parse(b[:n]); ok {
				t.Errorf("%d of %d bytes parsed", n, len(b))
			}
		}
	}
	b := tcp4()
	for _, first := range []byte{0x00, 0x35, 0x44, 0x4f, 0x55, 0x75} {
		b[0] = first
		if _, ok := Parse(b[:30]); ok {
			t.Errorf("a packet that begins with %02x parsed", first)
		}
	}
}

func TestClampMSS(t *testing.T) {
	for _, v := range []struct {
		name   string
		packet []byte
		mtu    int
		want   uint16
		at     int
	}{
		{"lowered", tcp4(2, 4, 0x05, 0xb4), 1400, 1360, 42},
		{"IPv6", tcp6(2, 4, 0x05, 0xa0), 1400, 1340, 62},
		{"fits already", tcp4(2, 4, 0x05, 0x00), 1400, 0x500, 42},
		{"behind other options", tcp4(1, 3, 3, 7, 2, 4, 0x05, 0xb4), 1300, 1260, 46},
		{"at an odd offset", tcp4(1, 2, 4, 0x05, 0xb4), 1300, 1260, 43},
		{"after the end", tcp4(0, 2, 4, 0x05, 0xb4), 1300, 1460, 43},
		{"option of length 0", tcp4(5, 0, 2, 4, 0x05, 0xb4), 1300, 1460, 44},
		{"option beyond the header", tcp4(5, 40, 2, 4, 0x05, 0xb4), 1300, 1460, 44},
	} {
		t.Run(v.name, func(t *testing.T) {
			was := binary.BigEndian.Uint16(v.packet[v.at:])
			h := mustParse(t, v.packet)
			changed := ClampMSS(v.packet, &h, v.mtu, false)
			if got := binary.BigEndian.Uint16(v.packet[v.at:]); got != v.want || changed != (was != v.want) {
				t.Errorf("MSS %d, changed %v; want %d", got, changed, v.want)
			}
			if !sound(t, v.packet) {
				t.Error("the checksum is wrong now")
			}
		})
	}
	for _, v := range []struct {
		name  string
		spoil func([]byte)
	}{
		{"no SYN", func(b []byte) { b[33] = 0x10 }},
		{"UDP", func(b []byte) { b[9] = UDP }},
		{"a later fragment", func(b []byte) { b[7] = 1 }},
		{"header longer than the packet", func(b []byte) { b[32] = 0xf0; b[40] = 9; b[41] = 60 }},
	} {
		b := tcp4(2, 4, 0x05, 0xb4)
		v.spoil(b)
		want := bytes.Clone(b)
		h := mustParse(t, b)
		if ClampMSS(b, &h, 1300, false) || !bytes.Equal(b, want) {
			t.Errorf("%s: changed", v.name)
		}
	}
}

func TestTooBig(t *testing.T) {
	from4, from6 := netip.MustParseAddr("10.0.0.254"), netip.MustParseAddr("2001:db8::fe")
	dst := make([]byte, MaxTooBig)
	for _, v := range []struct {
		packet []byte
		from   netip.Addr
		kind   [2]byte
		most   int
	}{
		{tcp4(), from4, [2]byte{3, 4}, maxError4},
		{append(tcp4(), make([]byte, 1460)...), from4, [2]byte{3, 4}, maxError4},
		{append(tcp6(), make([]byte, 1440)...), from6, [2]byte{2, 0}, maxError6},
	} {
		if v.from.Is4() {
			binary.BigEndian.PutUint16(v.packet[2:], uint16(len(v.packet)))
		} else {
			binary.BigEndian.PutUint16(v.packet[4:], uint16(len(v.packet)-header6))
		}
		for i := range dst {
			dst[i] = 0xaa // what the buffer held before
		}
		h := mustParse(t, v.packet)
		n := TooBig(dst, v.packet, &h, 1280, v.from)
		if n == 0 || n > v.most || !sound(t, dst[:n]) {
			t.Fatalf("%d bytes, or a wrong checksum", n)
		}
		e := mustParse(t, dst[:n])
		icmp := dst[e.HeaderLen:n]
		if e.Dst != h.Src || e.Src != v.from || [2]byte(icmp) != v.kind || binary.BigEndian.Uint16(icmp[6:]) != 1280 {
			t.Errorf("%+v, ICMP %x", e, icmp[:8])
		}
		if !bytes.HasPrefix(v.packet, icmp[8:]) {
			t.Error("it quotes something else")
		}
	}

	icmpError := tcp4()
	icmpError[9], icmpError[20] = ICMP, 3
	later := tcp4()
	later[7] = 3
	multicast := tcp4()
	multicast[16] = 224
	for i, b := range [][]byte{icmpError, later, multicast, tcp6()} {
		h := mustParse(t, b)
		if n := TooBig(dst, b, &h, 1280, from4); n != 0 {
			t.Errorf("packet %d was answered", i)
		}
	}
	h := mustParse(t, tcp4())
	if TooBig(dst[:50], tcp4(), &h, 1280, from4) != 0 {
		t.Error("it was written where there is no room")
	}
}

func TestFragment(t *testing.T) {
	payload := make([]byte, 3001)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	b := make([]byte, 28, 28+len(payload))
	// A record-route option, which is not copied, and a strict-source-route one.
	copy(b[20:], []byte{7, 3, 4, 0x89, 3, 4, 1, 0})
	b = append(b, payload...)
	put4(b, len(b), UDP, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.7"))
	b[0] = 0x47
	binary.BigEndian.PutUint16(b[4:], 0x1234)
	h := mustParse(t, b)

	var got []byte
	dst := make([]byte, 2000)
	for at, count := 0, 0; ; count++ {
		n, next := Fragment(dst, b, &h, 1300, at)
		f := mustParse(t, dst[:n])
		if n > 1300 || Checksum(dst[:f.HeaderLen]) != 0 || f.Offset != len(got) || f.More != (next != 0) || dst[4] != 0x12 {
			t.Fatalf("fragment %d: %d bytes, %+v", count, n, f)
		}
		want := []byte{7, 3, 4, 0x89, 3, 4, 1, 0}
		if at > 0 {
			want = []byte{1, 1, 1, 0x89, 3, 4, 1, 0}
		}
		if !bytes.Equal(dst[20:28], want) {
			t.Errorf("fragment %d has options %x", count, dst[20:28])
		}
		got = append(got, dst[f.HeaderLen:n]...)
		if at = next; at == 0 {
			break
		}
	}
	if !bytes.Equal(got, payload) {
		t.Error("the fragments are not the payload")
	}

	// A fragment of a fragment keeps its place.
	h.Offset, h.More = 800, true
	if n, _ := Fragment(dst, b, &h, 4000, 0); n > len(dst) {
		t.Fatal("longer than its buffer")
	}
	n, next := Fragment(dst, b, &h, 1300, 2544)
	if f := mustParse(t, dst[:n]); f.Offset != 3344 || !f.More || next != 0 {
		t.Errorf("%+v, next %d", f, next)
	}
	for _, mtu := range []int{0, 27, 28, 35} {
		if n, _ := Fragment(dst, b, &h, mtu, 0); n != 0 {
			t.Errorf("something fits into %d bytes", mtu)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(tcp4(2, 4, 5, 180), 1300)
	f.Add(tcp6(1, 2, 4, 5, 180), 1280)
	f.Add([]byte{0x4f, 0, 0, 60}, 20)
	for _, b := range machinetest.Seeds(f, "ip") {
		f.Add(b, 1280)
	}
	f.Fuzz(func(t *testing.T, b []byte, mtu int) {
		h, ok := Parse(b)
		if !ok {
			return
		}
		if h.HeaderLen > h.Len || h.Len > len(b) {
			t.Fatalf("%+v of %d bytes", h, len(b))
		}
		was := sound(t, b)
		if h.Protocol == TCP && h.Offset == 0 {
			ClampMSS(b, &h, mtu, false)
			if was && !sound(t, b) {
				t.Fatal("a checksum was spoilt")
			}
		}
		dst := make([]byte, MaxTooBig)
		from := netip.MustParseAddr("10.0.0.254")
		if !h.Is4() {
			from = netip.MustParseAddr("2001:db8::fe")
		}
		if n := TooBig(dst, b, &h, mtu&0xffff, from); n > 0 {
			mustParse(t, dst[:n])
		}
		for at, count := 0, 0; count < 100; count++ {
			n, next := Fragment(dst, b, &h, mtu, at)
			if n == 0 {
				break
			}
			if next != 0 && next <= at {
				t.Fatal("no progress")
			}
			mustParse(t, dst[:n])
			if at = next; at == 0 {
				break
			}
		}
	})
}

func BenchmarkChecksum(b *testing.B) {
	data := make([]byte, 1400)
	b.SetBytes(1400)
	b.ReportAllocs()
	for b.Loop() {
		Checksum(data)
	}
}

func TestNoAllocations(t *testing.T) {
	b, dst := tcp4(2, 4, 5, 180), make([]byte, MaxTooBig)
	from := netip.MustParseAddr("10.0.0.254")
	if n := testing.AllocsPerRun(100, func() {
		h, _ := Parse(b)
		ClampMSS(b, &h, 1300, false)
		TooBig(dst, b, &h, 1300, from)
		Fragment(dst, b, &h, 40, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
