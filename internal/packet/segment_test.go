package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// superSpec says what a super-packet of these tests is made of.
type superSpec struct {
	six       bool
	udp       bool
	ipOptions []byte // of IPv4, or the extension headers of IPv6
	next      byte   // the first of those extension headers
	options   []byte // of TCP
	flags     byte
	id        uint16
	seq       uint32
	payload   int
	noSum     bool
}

// build makes the super-packet, with rubbish where a checksum is to be.
func (s superSpec) build() []byte {
	var b []byte
	protocol := byte(TCP)
	if s.udp {
		protocol = UDP
	}
	if s.six {
		b = make([]byte, header6)
		b[0], b[1], b[3], b[6], b[7] = 0x6a, 0xb0, 0x77, protocol, 61
		copy(b[8:], []byte{0x20, 1, 0x0d, 0xb8, 15: 0xff, 16: 0x20, 17: 1, 31: 0xfe})
		if len(s.ipOptions) > 0 {
			b[6] = s.next
		}
	} else {
		b = make([]byte, minHeader4)
		b[0], b[1], b[8], b[9] = 0x45+byte(len(s.ipOptions)/4), 0xb9, 63, protocol
		copy(b[12:], []byte{10, 255, 255, 255, 192, 0, 2, 7})
		binary.BigEndian.PutUint16(b[4:], s.id)
		b[6], b[10], b[11] = 0x40, 0xaa, 0x55
	}
	b = append(b, s.ipOptions...)
	if s.udp {
		b = append(b, 0x9c, 0x40, 1, 0xbb, 0xff, 0xff, 0x12, 0x34)
		if s.noSum {
			clear(b[len(b)-2:])
		}
	} else {
		t := make([]byte, 20)
		copy(t, []byte{0x9c, 0x40, 1, 0xbb})
		binary.BigEndian.PutUint32(t[4:], s.seq)
		copy(t[8:], []byte{1, 2, 3, 4, byte(20+len(s.options)) << 2, s.flags, 0xfe, 0xdc, 0x43, 0x21, 0x11, 0x22})
		b = append(append(b, t...), s.options...)
	}
	for i := range s.payload {
		b = append(b, byte((uint32(i)+s.seq)*2654435761>>13)|byte(i>>8))
	}
	if s.six {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-header6))
	} else {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
	return b
}

// slowSum is the ones' complement sum of RFC 1071, a byte at a time.
func slowSum(parts ...[]byte) uint16 {
	var sum uint64
	for _, b := range parts {
		for i, v := range b {
			sum += uint64(v) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// slowCut is what Cutter must do, written without regard to time: it knows
// where the transport header begins and how long it is.
func slowCut(b []byte, ip, head, segment int, noSum bool) [][]byte {
	six, udp := b[0]>>4 == 6, head == ip+8
	payload := b[head:]
	var out [][]byte
	for k := 0; k == 0 || k*segment < len(payload); k++ {
		part := payload[k*segment : min((k+1)*segment, len(payload))]
		p := append(bytes.Clone(b[:head]), part...)
		last := (k+1)*segment >= len(payload)
		t := p[ip:]
		length := len(t)
		var pseudo []byte
		if six {
			binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
			pseudo = bytes.Clone(p[8:40])
		} else {
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
			binary.BigEndian.PutUint16(p[4:], binary.BigEndian.Uint16(b[4:])+uint16(k))
			p[10], p[11] = 0, 0
			binary.BigEndian.PutUint16(p[10:], ^slowSum(p[:ip]))
			pseudo = bytes.Clone(p[12:20])
		}
		protocol, at := byte(6), 16
		if udp {
			protocol, at = 17, 6
			binary.BigEndian.PutUint16(t[4:], uint16(length))
		} else {
			binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(k*segment))
			if !last {
				t[13] &= 0xff - 0x09
			}
			if k > 0 {
				t[13] &= 0x7f
			}
		}
		pseudo = append(pseudo, 0, protocol, byte(length>>8), byte(length))
		t[at], t[at+1] = 0, 0
		if !noSum {
			sum := ^slowSum(pseudo, t)
			if udp && sum == 0 {
				sum = 0xffff
			}
			binary.BigEndian.PutUint16(t[at:], sum)
		}
		out = append(out, p)
	}
	return out
}

var timestamps = []byte{1, 1, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2}

func TestCutter(t *testing.T) {
	hop := []byte{TCP, 0, 5, 2, 0, 0, 1, 0}                      // router alert, PadN
	two := []byte{60, 0, 1, 4, 0, 0, 0, 0, TCP, 1, 1, 12, 23: 0} // hop-by-hop, destination
	for name, s := range map[string]superSpec{
		"TCP over IPv4":                   {flags: 0x10, payload: 14000},
		"with timestamps":                 {flags: 0x10, payload: 14001, options: timestamps},
		"with 40 bytes of options":        {flags: 0x10, payload: 5000, options: bytes.Repeat([]byte{1}, 40)},
		"with FIN, PSH, CWR and ECE":      {flags: 0xd9, payload: 6000, options: timestamps},
		"with IPv4 options":               {flags: 0x18, payload: 6000, ipOptions: []byte{0x94, 4, 0, 0}},
		"whose sequence number wraps":     {flags: 0x10, payload: 60000, seq: 0xfffff000},
		"whose identification wraps":      {flags: 0x10, payload: 60000, id: 0xfff0},
		"as long as can be":               {flags: 0x10, payload: 65535 - 40},
		"TCP over IPv6":                   {six: true, flags: 0x19, payload: 14000, options: timestamps},
		"IPv6 with an extension header":   {six: true, flags: 0x19, payload: 6000, ipOptions: hop, next: 0},
		"IPv6 with two extension headers": {six: true, flags: 0x19, payload: 6000, ipOptions: two, next: 0},
		"IPv6 as long as can be":          {six: true, flags: 0x10, payload: 65535 - 20},
		"one segment":                     {flags: 0x18, payload: 1000},
		"no payload":                      {flags: 0x11},
		"UDP over IPv4":                   {udp: true, payload: 9000},
		"UDP without a checksum":          {udp: true, payload: 9000, noSum: true},
		"UDP over IPv6":                   {udp: true, six: true, payload: 9001},
		"UDP behind an extension header":  {udp: true, six: true, payload: 9001, ipOptions: append([]byte{UDP}, hop[1:]...), next: 60},
	} {
		for _, segment := range []int{1360, 1, 7, 1348, 1349, 3000} {
			t.Run(fmt.Sprintf("%s/%d", name, segment), func(t *testing.T) {
				b := s.build()
				head := len(b) - s.payload
				ip := head - 20 - len(s.options)
				if s.udp {
					ip = head - 8
				}
				checkCut(t, b, ip, head, segment, s.noSum)
			})
		}
	}
}

func checkCut(t *testing.T, b []byte, ip, head, segment int, noSum bool) {
	t.Helper()
	want := slowCut(b, ip, head, segment, noSum)
	was := bytes.Clone(b)
	var c Cutter
	if !c.Reset(append(bytes.Clone(b), 1, 2, 3), segment) { // what lies behind is not part of it
		t.Fatal("it cannot be cut")
	}
	if c.Segments() != len(want) || c.Len() != len(want[0]) {
		t.Fatalf("%d segments of %d bytes, want %d of %d", c.Segments(), c.Len(), len(want), len(want[0]))
	}
	dst := make([]byte, 66000)
	for i, w := range want {
		if c.Next(dst[:len(w)-1]) != 0 {
			t.Fatal("it was written where there is no room")
		}
		if n := c.Next(dst); !bytes.Equal(dst[:n], w) {
			t.Fatalf("segment %d: %d bytes\n%x\nwant %d bytes\n%x", i, n, dst[:min(n, 100)], len(w), w[:min(len(w), 100)])
		}
	}
	if n := c.Next(dst); n != 0 {
		t.Errorf("%d more bytes", n)
	}
	if !bytes.Equal(b, was) {
		t.Error("the super-packet has changed")
	}
}

func TestCutterRefuses(t *testing.T) {
	four := superSpec{flags: 0x10, payload: 3000, options: timestamps}
	six := superSpec{six: true, flags: 0x10, payload: 3000}
	udp := superSpec{udp: true, payload: 3000}
	for _, v := range []struct {
		name  string
		spec  superSpec
		spoil func([]byte) []byte
	}{
		{"nothing", four, func(b []byte) []byte { return nil }},
		{"a cut packet", four, func(b []byte) []byte { return b[:len(b)-1] }},
		{"a cut IPv6 packet", six, func(b []byte) []byte { return b[:len(b)-1] }},
		{"another version", four, func(b []byte) []byte { b[0] = 0x55; return b }},
		{"a short IPv4 header", four, func(b []byte) []byte { b[0] = 0x44; return b }},
		{"a first fragment", four, func(b []byte) []byte { b[6] = 0x20; return b }},
		{"a last fragment", four, func(b []byte) []byte { b[7] = 1; return b }},
		{"ICMP", four, func(b []byte) []byte { b[9] = ICMP; return b }},
		{"a short TCP header", four, func(b []byte) []byte { b[32] = 0x40; return b }},
		{"a TCP header beyond the packet", four, func(b []byte) []byte { b[3], b[2] = 50, 0; return b }},
		{"no room for a TCP header", four, func(b []byte) []byte { b[3], b[2] = 39, 0; return b }},
		{"no room for a UDP header", udp, func(b []byte) []byte { b[3], b[2] = 27, 0; return b }},
		{"several SYNs", four, func(b []byte) []byte { b[33] |= 2; return b }},
		{"several RSTs", four, func(b []byte) []byte { b[33] |= 4; return b }},
		{"an IPv6 fragment", six, func(b []byte) []byte { b[6] = 44; return b }},
		{"an IPv6 routing header", six, func(b []byte) []byte { b[6] = 43; return b }},
		{"an endless extension header", six, func(b []byte) []byte { b[6], b[40], b[41] = 0, 0, 255; return b[:100] }},
		{"nothing but extension headers", six, func(b []byte) []byte {
			b[6], b[5], b[4] = 0, 8, 0
			b[40], b[41] = TCP, 0
			return b
		}},
	} {
		var c Cutter
		if c.Reset(v.spoil(v.spec.build()), 1000) || c.Segments() != 0 || c.Next(make([]byte, 2000)) != 0 {
			t.Errorf("%s can be cut", v.name)
		}
	}
	for _, segment := range []int{0, -1} {
		var c Cutter
		if c.Reset(four.build(), segment) {
			t.Errorf("cut into segments of %d bytes", segment)
		}
	}
}

func TestCompleteChecksum(t *testing.T) {
	for _, v := range []struct {
		spec superSpec
		at   int
	}{
		{superSpec{flags: 0x18, payload: 1001}, 16}, {superSpec{six: true, payload: 1000}, 16}, {superSpec{udp: true, payload: 7}, 6},
	} {
		b := v.spec.build()
		h := mustParse(t, b)
		body := b[h.HeaderLen:]
		binary.BigEndian.PutUint16(body[v.at:], ^Fold(PseudoSum(h.Src, h.Dst, h.Protocol, len(body))))
		if !CompleteChecksum(b, h.HeaderLen, v.at) {
			t.Fatal("refused")
		}
		if Fold(Sum(PseudoSum(h.Src, h.Dst, h.Protocol, len(body)), body)) != 0 {
			t.Errorf("protocol %d: the checksum is wrong", h.Protocol)
		}
	}
	b := []byte{0xff, 0xff, 0, 0}
	if !CompleteChecksum(b, 0, 2) || b[2] != 0xff || b[3] != 0xff {
		t.Errorf("a checksum of 0 is written as %x, which says that there is none", b[2:])
	}
	const most = int(^uint(0) >> 1)
	for _, v := range [][2]int{{-1, 0}, {0, -1}, {0, 3}, {3, 0}, {4, 0}, {5, 0}, {2, 1}, {most, most}, {0, most}, {most, 0}} {
		if CompleteChecksum(b, v[0], v[1]) {
			t.Errorf("written at %d + %d of 4 bytes", v[0], v[1])
		}
	}
}

// Whatever the bytes are, nothing panics, and what is cut is what slowCut says.
func FuzzCutter(f *testing.F) {
	for _, s := range []superSpec{
		{flags: 0xd9, payload: 300, options: timestamps}, {six: true, flags: 0x10, payload: 300}, {udp: true, payload: 99},
		{six: true, flags: 0x10, payload: 30, ipOptions: []byte{TCP, 0, 1, 4, 0, 0, 0, 0}},
	} {
		f.Add(s.build(), 100, 16, 20)
	}
	dst := make([]byte, 1<<16+40)
	f.Fuzz(func(t *testing.T, b []byte, segment, start, offset int) {
		CompleteChecksum(bytes.Clone(b), start, offset)
		var c Cutter
		if !c.Reset(b, segment) {
			return
		}
		total := 0
		if b[0]>>4 == 6 {
			total = 40 + int(binary.BigEndian.Uint16(b[4:]))
		} else {
			total = int(binary.BigEndian.Uint16(b[2:]))
		}
		noSum := !c.tcp && c.four && b[c.ip+6] == 0 && b[c.ip+7] == 0
		for i, w := range slowCut(b[:total], c.ip, c.head, segment, noSum) {
			if n := c.Next(dst); !bytes.Equal(dst[:n], w) {
				t.Fatalf("segment %d: %x, want %x", i, dst[:n], w)
			}
		}
		if c.Next(dst) != 0 {
			t.Fatal("there is no end")
		}
	})
}

func BenchmarkCutter(b *testing.B) {
	p := superSpec{flags: 0x10, payload: 44 * 1348, options: timestamps}.build()
	dst := make([]byte, 2048)
	b.SetBytes(1348)
	b.ReportAllocs()
	var c Cutter
	for b.Loop() {
		if c.Next(dst) == 0 {
			c.Reset(p, 1348)
			c.Next(dst)
		}
	}
}

func TestCutterDoesNotAllocate(t *testing.T) {
	p := superSpec{flags: 0x10, payload: 9000, options: timestamps}.build()
	dst := make([]byte, 2048)
	if n := testing.AllocsPerRun(100, func() {
		var c Cutter
		for c.Reset(p, 1348); c.Next(dst) > 0; {
			CompleteChecksum(dst, 20, 16)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
