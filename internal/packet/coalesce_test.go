package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// complete makes the lengths and checksums of a packet right.
func complete(b []byte) []byte {
	p := slowCut(b, b0len(b), b0len(b)+transportLen(b), 1<<20, false)
	copy(b, p[0])
	return b
}

func b0len(b []byte) int {
	if b[0]>>4 == 6 {
		return 40
	}
	return int(b[0]&15) * 4
}

func isUDP(b []byte) bool { return b[0]>>4 == 6 && b[6] == UDP || b[0]>>4 == 4 && b[9] == UDP }

func transportLen(b []byte) int {
	if isUDP(b) {
		return 8
	}
	return int(b[b0len(b)+12]>>4) * 4
}

// repair is complete for what may not be a packet any more.
func repair(b []byte) {
	if four := b[0] == 0x45; four || b[0]>>4 == 6 {
		if ip := b0len(b); len(b) >= ip+20 || isUDP(b) && len(b) >= ip+8 {
			if n := transportLen(b); n >= 8 && len(b) >= ip+n {
				complete(b)
			}
		}
	}
}

// flow makes packets that follow each other.
type flow struct {
	superSpec
	port uint16
	made int
}

// next is the flow's next packet, with that much payload.
func (f *flow) next(payload int, change ...func([]byte)) []byte {
	s := f.superSpec
	s.payload = payload
	b := s.build()
	binary.BigEndian.PutUint16(b[b0len(b):], 40000+f.port)
	f.seq += uint32(payload)
	f.id++
	f.made++
	complete(b)
	for _, c := range change {
		c(b)
	}
	return b
}

// batch is what a Coalescer makes of packets: lists of their places.
func coalesce(c *Coalescer, packets [][]byte) (runs [][]int, supers []Joined, out [][]byte) {
	c.Reset()
	for _, p := range packets {
		c.Push(bytes.Clone(p))
	}
	for i := range c.Len() {
		j := c.Joined(i)
		list, at := []int{j.First}, int32(j.First)
		b := bytes.Clone(c.packs[j.First])
		for len(list) < j.Count {
			at = c.next[at]
			list = append(list, int(at))
		}
		c.Rest(i, func(p []byte) { b = append(b, p...) })
		runs, supers, out = append(runs, list), append(supers, j), append(out, b)
	}
	return runs, supers, out
}

// sameButID compares packets but for identifications that mean nothing.
func sameButID(a, b []byte) bool {
	if len(a) > 12 && len(a) == len(b) && a[0]>>4 == 4 && a[6]&0x40 != 0 {
		a, b = bytes.Clone(a), bytes.Clone(b)
		for _, p := range [][]byte{a, b} {
			clear(p[4:6])
			clear(p[10:12])
		}
	}
	return bytes.Equal(a, b)
}

// checkRuns cuts what was joined, and compares that with what was pushed.
func checkRuns(t *testing.T, packets [][]byte, runs [][]int, supers []Joined, out [][]byte) {
	t.Helper()
	place := make([]int, len(packets))
	for i := range place {
		place[i] = -1
	}
	n := 0
	for k, list := range runs {
		for _, i := range list {
			if place[i] >= 0 {
				t.Fatalf("packet %d comes twice", i)
			}
			place[i] = n
			n++
		}
		if len(list) == 1 {
			if supers[k].Segment != 0 || !bytes.Equal(out[k], packets[list[0]]) {
				t.Fatalf("packet %d alone was changed", list[0])
			}
			continue
		}
		j := supers[k]
		if len(out[k]) > 65535 || j.CsumStart != b0len(out[k]) || j.HeaderLen != j.CsumStart+transportLen(out[k]) || j.UDP != isUDP(out[k]) {
			t.Fatalf("%d bytes, %+v", len(out[k]), j)
		}
		// The partial checksum, as CompleteChecksum and a kernel understand it.
		whole := bytes.Clone(out[k])
		CompleteChecksum(whole, j.CsumStart, j.CsumOffset)
		if sum := whole[j.CsumStart+j.CsumOffset:]; !j.UDP && sum[0] == 0xff && sum[1] == 0xff {
			sum[0], sum[1] = 0, 0 // TCP writes it so
		}
		want := complete(bytes.Clone(out[k]))
		if !bytes.Equal(whole, want) {
			t.Fatalf("the headers of a super-packet are\n%x, want\n%x", whole[:j.HeaderLen], want[:j.HeaderLen])
		}
		cut := slowCut(out[k], j.CsumStart, j.HeaderLen, j.Segment, false)
		if len(cut) != len(list) {
			t.Fatalf("%d packets become %d", len(list), len(cut))
		}
		for x, i := range list {
			if !sameButID(cut[x], packets[i]) {
				t.Fatalf("packet %d\n%x becomes\n%x", i, packets[i][:min(80, len(packets[i]))], cut[x][:min(80, len(cut[x]))])
			}
			if x > 0 && !mayJoin(packets[list[x-1]], packets[i]) {
				t.Fatalf("packets %d and %d were joined\n%x\n%x", list[x-1], i, packets[list[x-1]], packets[i])
			}
		}
	}
	if n != len(packets) {
		t.Fatalf("%d of %d packets are there", n, len(packets))
	}
	for j := range packets {
		for i := range j {
			if place[i] > place[j] && related(packets[i], packets[j]) {
				t.Fatalf("packet %d has overtaken packet %d\n%x\n%x", j, i, packets[i], packets[j])
			}
		}
	}
}

// related reports whether the order of two packets matters: those of one flow,
// and those between the same hosts of which one's flow is hidden, be it in
// fragments, options, extension headers or rubbish.
func related(a, b []byte) bool {
	if len(a) < 40 || len(b) < 40 || a[0]>>4 != b[0]>>4 || a[0]>>4 != 4 && a[0]>>4 != 6 {
		return false
	}
	hosts := func(b []byte) []byte {
		if b[0]>>4 == 4 {
			return b[12:20]
		}
		return b[8:40]
	}
	if !bytes.Equal(hosts(a), hosts(b)) {
		return false
	}
	hidden := func(b []byte) bool {
		if b[0]>>4 == 6 {
			return b[6] != TCP && b[6] != UDP && b[6] != ICMPv6
		}
		return b[0] != 0x45 || b[6]&0xbf != 0 || b[7] != 0
	}
	if hidden(a) || hidden(b) {
		return true
	}
	protocol, ip := 9, 20
	if a[0]>>4 == 6 {
		protocol, ip = 6, 40
	}
	return a[protocol] == b[protocol] && (a[protocol] == TCP || a[protocol] == UDP) && len(a) >= ip+4 && len(b) >= ip+4 && bytes.Equal(a[ip:ip+4], b[ip:ip+4])
}

// mayJoin reports whether b may follow a in a super-packet.
func mayJoin(a, b []byte) bool {
	ip, th := b0len(a), transportLen(a)
	for _, p := range [][]byte{a, b} {
		if len(p) <= ip+th || b0len(p) != ip || ip != 20 && ip != 40 {
			return false
		}
		if !isUDP(p) && (p[ip+13]|8 != 0x18 || p[ip+12]&15 != 0) {
			return false
		}
	}
	if !isUDP(a) {
		seq := binary.BigEndian.Uint32(a[ip+4:]) + uint32(len(a)-ip-th)
		if binary.BigEndian.Uint32(b[ip+4:]) != seq || a[ip+13]&8 != 0 {
			return false
		}
	}
	if ip == 20 && a[6]&0x40 == 0 && binary.BigEndian.Uint16(b[4:]) != binary.BigEndian.Uint16(a[4:])+1 {
		return false
	}
	return len(b) <= len(a)
}

func TestCoalesce(t *testing.T) {
	four, six := superSpec{flags: 0x10, id: 0xfffd, options: timestamps}, superSpec{six: true, flags: 0x10, seq: 0xfffffff0}
	udp4, udp6 := superSpec{udp: true, id: 9}, superSpec{udp: true, six: true}
	set := func(at int, v byte) func([]byte) { return func(b []byte) { b[at] = v; complete(b) } }
	mayFragment := func(b []byte) { b[6] = 0; complete(b) }
	type list = [][]byte
	for _, v := range []struct {
		name string
		spec superSpec
		make func(f, g *flow) list
		want string
	}{
		{"in sequence", four, func(f, g *flow) list { return list{f.next(100), f.next(100), f.next(100)} }, "[[0 1 2]]"},
		{"IPv6", six, func(f, g *flow) list { return list{f.next(100), f.next(100), f.next(7)} }, "[[0 1 2]]"},
		{"the last is shorter", four, func(f, g *flow) list { return list{f.next(100), f.next(99), f.next(99), f.next(99)} }, "[[0 1] [2 3]]"},
		{"the last is longer", four, func(f, g *flow) list { return list{f.next(100), f.next(101), f.next(101)} }, "[[0] [1 2]]"},
		{"PSH ends it", four, func(f, g *flow) list {
			return list{f.next(100), f.next(100, set(33, 0x18)), f.next(100), f.next(100)}
		}, "[[0 1] [2 3]]"},
		{"PSH at once", four, func(f, g *flow) list { return list{f.next(100, set(33, 0x18)), f.next(100)} }, "[[0] [1]]"},
		{"two flows", four, func(f, g *flow) list {
			return list{f.next(100), g.next(50), f.next(100), g.next(50), g.next(3), f.next(9)}
		}, "[[0 2 5] [1 3 4]]"},
		{"an ACK alone", four, func(f, g *flow) list { return list{f.next(100), f.next(0), f.next(100), f.next(100)} }, "[[0] [1] [2 3]]"},
		{"a hole", four, func(f, g *flow) list {
			a, _, b := f.next(100), f.next(100), f.next(100)
			return list{a, b, f.next(100)}
		}, "[[0] [1 2]]"},
		{"a repetition", four, func(f, g *flow) list { a := f.next(100); return list{a, a, f.next(100)} }, "[[0] [1 2]]"},
		{"identifications", four, func(f, g *flow) list {
			return list{f.next(9, mayFragment), f.next(9, mayFragment), f.next(9, mayFragment), f.next(9, mayFragment)}
		}, "[[0 1 2 3]]"},
		{"a gap in identifications", four, func(f, g *flow) list {
			a := f.next(9, mayFragment)
			f.id++
			return list{a, f.next(9, mayFragment)}
		}, "[[0] [1]]"},
		{"identifications that mean nothing", four, func(f, g *flow) list { a := f.next(9); f.id = 77; return list{a, f.next(9)} }, "[[0 1]]"},
		{"one may be fragmented", four, func(f, g *flow) list { return list{f.next(9), f.next(9, mayFragment)} }, "[[0] [1]]"},
		{"type of service", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(1, 0xbb))} }, "[[0] [1]]"},
		{"time to live", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(8, 9))} }, "[[0] [1]]"},
		{"flow label", six, func(f, g *flow) list { return list{f.next(9), f.next(9, set(3, 9))} }, "[[0] [1]]"},
		{"traffic class", six, func(f, g *flow) list { return list{f.next(9), f.next(9, set(1, 0xa0))} }, "[[0] [1]]"},
		{"hop limit", six, func(f, g *flow) list { return list{f.next(9), f.next(9, set(7, 9))} }, "[[0] [1]]"},
		{"acknowledgment", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(29, 9))} }, "[[0] [1]]"},
		{"window", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(35, 9))} }, "[[0] [1]]"},
		{"urgent pointer", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(39, 9))} }, "[[0] [1]]"},
		{"reserved bits", four, func(f, g *flow) list { return list{f.next(9, set(32, 0x81)), f.next(9, set(32, 0x81))} }, "[[0] [1]]"},
		{"timestamps", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(51, 9)), f.next(9, set(51, 9))} }, "[[0] [1 2]]"},
		{"FIN", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(33, 0x11))} }, "[[0] [1]]"},
		{"RST", four, func(f, g *flow) list { return list{f.next(9), f.next(9, set(33, 0x14))} }, "[[0] [1]]"},
		{"URG", four, func(f, g *flow) list { return list{f.next(9, set(33, 0x30)), f.next(9, set(33, 0x30))} }, "[[0] [1]]"},
		{"ECE", four, func(f, g *flow) list { return list{f.next(9, set(33, 0x50)), f.next(9, set(33, 0x50))} }, "[[0] [1]]"},
		{"CWR", four, func(f, g *flow) list { return list{f.next(9, set(33, 0x90)), f.next(9)} }, "[[0] [1]]"},
		{"SYN", four, func(f, g *flow) list { return list{f.next(9, set(33, 0x12)), f.next(9)} }, "[[0] [1]]"},
		{"no ACK", four, func(f, g *flow) list { return list{f.next(9, set(33, 0)), f.next(9, set(33, 0))} }, "[[0] [1]]"},
		{"a wrong TCP checksum", four, func(f, g *flow) list {
			return list{f.next(9), f.next(9, func(b []byte) { b[37]++ }), f.next(9), f.next(9)}
		}, "[[0] [1] [2 3]]"},
		{"a wrong first checksum", four, func(f, g *flow) list {
			return list{f.next(9, func(b []byte) { b[60]++ }), f.next(9), f.next(9)}
		}, "[[0] [1 2]]"},
		{"a wrong header checksum", four, func(f, g *flow) list { return list{f.next(9), f.next(9, func(b []byte) { b[10]++ })} }, "[[0] [1]]"},
		{"a fragment between", four, func(f, g *flow) list {
			return list{f.next(9), g.next(9, func(b []byte) { b[6] = 0x20 }), f.next(9)}
		}, "[[0] [1] [2]]"},
		{"IPv4 options", superSpec{flags: 0x10, ipOptions: []byte{1, 1, 1, 0}}, func(f, g *flow) list {
			return list{f.next(9), f.next(9)}
		}, "[[0] [1]]"},
		{"an extension header between", six, func(f, g *flow) list {
			return list{f.next(9), g.next(9, func(b []byte) { b[6] = 60 }), f.next(9)}
		}, "[[0] [1] [2]]"},
		{"ICMP between", four, func(f, g *flow) list { return list{f.next(9), g.next(9, func(b []byte) { b[9] = ICMP }), f.next(9)} }, "[[0 2] [1]]"},
		{"a length that is not so", four, func(f, g *flow) list {
			a, b := f.next(9), f.next(9)
			return list{a, append(b, 0), f.next(9)}
		}, "[[0] [1] [2]]"},
		{"a header beyond the packet", four, func(f, g *flow) list { return list{f.next(9), f.next(9, func(b []byte) { b[32] = 0xf0 })} }, "[[0] [1]]"},
		{"UDP", udp4, func(f, g *flow) list { return list{f.next(100), f.next(100), f.next(3), f.next(3)} }, "[[0 1 2] [3]]"},
		{"UDP over IPv6", udp6, func(f, g *flow) list { return list{f.next(100), g.next(8), f.next(100), g.next(8)} }, "[[0 2] [1 3]]"},
		{"UDP without a checksum", udp4, func(f, g *flow) list {
			none := func(b []byte) { b[26], b[27] = 0, 0 }
			return list{f.next(9), f.next(9, none), f.next(9, none), f.next(9)}
		}, "[[0] [1] [2] [3]]"},
		{"UDP of another length", udp4, func(f, g *flow) list {
			return list{f.next(9), f.next(9, func(b []byte) { b[25]-- }), f.next(9), f.next(9)}
		}, "[[0] [1] [2 3]]"},
		{"empty UDP", udp4, func(f, g *flow) list { return list{f.next(0), f.next(0), f.next(9), f.next(9)} }, "[[0] [1] [2 3]]"},
		{"to a group", udp4, func(f, g *flow) list { return list{f.next(9, set(16, 239)), f.next(9, set(16, 239))} }, "[[0] [1]]"},
		{"to everybody", udp4, func(f, g *flow) list { return list{f.next(9, set(16, 255)), f.next(9, set(16, 255))} }, "[[0] [1]]"},
		{"to a group over IPv6", udp6, func(f, g *flow) list { return list{f.next(9, set(24, 0xff)), f.next(9, set(24, 0xff))} }, "[[0] [1]]"},
		{"from a group's number", udp4, func(f, g *flow) list { return list{f.next(9, set(12, 239)), f.next(9, set(12, 239))} }, "[[0 1]]"},
		{"nothing and rubbish", four, func(f, g *flow) list {
			return list{f.next(9), {}, {0x45}, {0x60, 39: 0}, bytes.Repeat([]byte{0xff}, 60), f.next(9)}
		}, "[[0 5] [1] [2] [3] [4]]"},
	} {
		t.Run(v.name, func(t *testing.T) {
			packets := v.make(&flow{superSpec: v.spec}, &flow{superSpec: v.spec, port: 1})
			c := NewCoalescer(true)
			c.seed = 1 // a random one makes two flows meet now and then, which is allowed
			runs, supers, out := coalesce(c, packets)
			if got := fmt.Sprint(runs); got != v.want {
				t.Errorf("joined to %s, want %s", got, v.want)
			}
			checkRuns(t, packets, runs, supers, out)
			if v.spec.udp { // which is joined only if it shall be
				if runs, _, _ := coalesce(NewCoalescer(false), packets); len(runs) != len(packets) {
					t.Errorf("UDP was joined to %v", runs)
				}
			}
		})
	}
}

func TestCoalesceHasLimits(t *testing.T) {
	for _, v := range []struct {
		spec    superSpec
		payload int
		want    int // packets in the first
	}{
		{superSpec{flags: 0x10}, 1360, 48}, {superSpec{flags: 0x10}, 65535/2 - 20, 2}, {superSpec{flags: 0x10}, 32768, 1},
		{superSpec{flags: 0x10}, 1, 200}, {superSpec{six: true, flags: 0x10}, 1340, 48},
		{superSpec{udp: true}, 10, 64}, {superSpec{udp: true, six: true}, 1340, 48},
	} {
		f, packets := flow{superSpec: v.spec}, [][]byte(nil)
		for range 200 {
			packets = append(packets, f.next(v.payload))
		}
		runs, supers, out := coalesce(NewCoalescer(true), packets)
		if len(runs[0]) != v.want {
			t.Errorf("%d bytes of payload: %d packets joined, want %d", v.payload, len(runs[0]), v.want)
		}
		checkRuns(t, packets, runs, supers, out)
	}
	c := NewCoalescer(false)
	f := flow{superSpec: superSpec{flags: 0x10}}
	for range MaxJoined {
		if c.Full() {
			t.Fatal("full too early")
		}
		c.Push(f.next(1))
	}
	if !c.Full() || c.Len() != 1 || c.Joined(0).Count != MaxJoined {
		t.Errorf("full: %v, joined to %d", c.Full(), c.Len())
	}
}

// A super-packet that passes ends what is open of its flow, and is not changed.
func TestPushAlone(t *testing.T) {
	f := flow{superSpec: superSpec{flags: 0x10}}
	c := NewCoalescer(true)
	c.Push(f.next(9))
	alone := f.next(9)
	c.PushAlone(alone)
	c.Push(f.next(9))
	c.Push(f.next(9))
	if c.Len() != 3 || c.Joined(1).Segment != 0 || c.Joined(2).Count != 2 {
		t.Errorf("%d packets", c.Len())
	}
}

// Whatever comes in whatever order: what was joined can be cut into what came.
func TestCoalesceWhatever(t *testing.T) {
	c := NewCoalescer(true)
	joined, seeds := 0, uint64(600)
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		packets := randomBatch(r)
		runs, supers, out := coalesce(c, packets)
		checkRuns(t, packets, runs, supers, out)
		joined += len(packets) - len(runs)
	}
	if joined < int(seeds)*5 {
		t.Errorf("%d packets joined: the test tries nothing", joined)
	}
}

// randomBatch has packets of some flows, most of which could be joined.
func randomBatch(r *rand.Rand) [][]byte {
	var flows []*flow
	for i := range 1 + r.IntN(6) {
		s := superSpec{six: r.IntN(2) == 0, udp: r.IntN(3) == 0, flags: 0x10, seq: r.Uint32(), id: uint16(r.Uint32())}
		if r.IntN(2) == 0 && !s.udp {
			s.options = timestamps
		}
		flows = append(flows, &flow{superSpec: s, port: uint16(i / 2)})
	}
	sizes := []int{r.IntN(100), 1 + r.IntN(300)}
	var packets [][]byte
	for range 2 + r.IntN(60) {
		f := flows[r.IntN(len(flows))]
		b := f.next(sizes[min(1, r.IntN(12))])
		switch r.IntN(24) {
		case 0: // anything is wrong
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		case 1: // anything else is so, with right checksums
			b[r.IntN(min(len(b), 60))] ^= 1 << r.IntN(8)
			repair(b)
		case 2:
			b = b[:r.IntN(len(b))]
		case 3:
			b = append(b, 1)
		case 4: // it comes later
			if n := len(packets); n > 0 {
				packets = slices.Insert(packets, n-1, b)
				continue
			}
		case 5:
			if !f.udp {
				b[b0len(b)+13] = byte(r.Uint32())
				repair(b)
			}
		case 6:
			if !f.six {
				b[6] ^= 0x40
				complete(b)
			}
		case 7:
			b[0] = byte(r.Uint32())
		}
		packets = append(packets, b)
	}
	return packets
}

// FuzzCoalescer reads a batch out of bytes: changes to packets of a good flow.
func FuzzCoalescer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0}, false, false)
	f.Add([]byte{1, 33, 8, 0, 0, 0, 1, 6, 0x20, 0, 0, 0}, false, true)
	f.Add([]byte{0, 0, 0, 1, 6, 0x2c, 2, 9, 0}, true, true)
	f.Fuzz(func(t *testing.T, script []byte, six, udp bool) {
		flows := [2]*flow{{superSpec: superSpec{six: six, udp: udp, flags: 0x10}}, {superSpec: superSpec{six: six, udp: udp, flags: 0x10}, port: 1}}
		var packets [][]byte
		for len(script) >= 3 && len(packets) < 100 {
			b := flows[script[0]>>7].next(int(script[0]>>3&15) * 9)
			if at := int(script[1]); at < len(b) {
				b[at] ^= script[2]
			}
			switch script[0] & 7 {
			case 1:
				repair(b)
			case 2:
				b = b[:min(len(b), int(script[2]))]
			}
			packets = append(packets, b)
			script = script[3:]
		}
		runs, supers, out := coalesce(NewCoalescer(true), packets)
		checkRuns(t, packets, runs, supers, out)
	})
}

func TestCoalescerDoesNotAllocate(t *testing.T) {
	f := flow{superSpec: superSpec{flags: 0x10}}
	packets := [][]byte{f.next(100), f.next(100), f.next(100, func(b []byte) { b[6] = 0x20 })}
	c, total := NewCoalescer(true), 0
	if n := testing.AllocsPerRun(100, func() {
		c.Reset()
		for _, p := range packets {
			c.Push(p)
		}
		for i := range c.Len() {
			c.Joined(i)
			c.Rest(i, func(b []byte) { total += len(b) })
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCoalescer(b *testing.B) {
	for _, flows := range []int{1, 10, 128, 512} {
		b.Run(fmt.Sprintf("%d flows", flows), func(b *testing.B) {
			var all []*flow
			for i := range flows {
				all = append(all, &flow{superSpec: superSpec{flags: 0x10, options: timestamps}, port: uint16(i)})
			}
			var packets [][]byte
			for i := range MaxJoined {
				packets = append(packets, all[i%flows].next(1348))
			}
			work := make([][]byte, len(packets))
			for i := range work {
				work[i] = bytes.Clone(packets[i])
			}
			c, total := NewCoalescer(false), 0
			b.SetBytes(1400)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%MaxJoined == 0 {
					b.StopTimer()
					for k := range c.Len() {
						copy(c.packs[c.runs[k].first], packets[c.runs[k].first][:60])
					}
					b.StartTimer()
					c.Reset()
				}
				c.Push(work[i%MaxJoined])
				if i%MaxJoined == MaxJoined-1 {
					for k := range c.Len() {
						c.Joined(k)
						c.Rest(k, func(b []byte) { total += len(b) })
					}
				}
			}
		})
	}
}
