package ipsec

import (
	"bytes"
	"crypto/rand"
	"runtime"
	"testing"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

// benchPayload is inner UDP, L2TP, PPP and 1400 bytes of IP: with padding and
// trailer 1424 bytes are encrypted.
const benchPayload = 1420

// lap seals and opens one batch over and over, without a replay.
type lap struct {
	out    *Outbound
	in     *Inbound
	sealer *Sealer
	opener *Opener
	outs   []Out
	ins    []In
}

func newLap(t testing.TB, s Suite, n int, tier lanes.Tier) *lap {
	l := &lap{sealer: newSealer(rand.Reader, tier), opener: newOpener(tier), outs: make([]Out, n), ins: make([]In, n)}
	l.out, l.in = newPair(t, s, 0)
	for i := range l.outs {
		l.outs[i] = newOut(l.out, make([]byte, benchPayload))
	}
	return l
}

func (l *lap) seal() {
	head := l.out.suite.HeadRoom()
	for i := range l.outs {
		l.outs[i].Off, l.outs[i].End = head, head+benchPayload
	}
	l.out.Lock()
	l.sealer.Seal(l.outs)
	l.out.Unlock()
}

func (l *lap) open() {
	for i := range l.outs {
		p := &l.outs[i]
		l.ins[i] = In{SA: l.in, Buf: p.Buf, Off: p.Off, End: p.End}
	}
	l.opener.Open(l.ins)
}

func TestNoAllocations(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		for tier := range lanes.Best() + 1 {
			l := newLap(t, s, 16, tier)
			if n := testing.AllocsPerRun(20, func() { l.seal(); l.open() }); n != 0 {
				t.Errorf("%v: %v allocations for a batch", tier, n)
			}
			for _, p := range l.ins {
				if p.Drop != DropNone {
					t.Fatalf("%v: not opened: %v", tier, p.Drop)
				}
			}
		}
	})
}

// An idle session holds a pair of SAs, two at a re-key. The budget of a whole
// session is 40 KiB, of which a pair may take a tenth.
func TestMemoryOfAPair(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		const n = 1000
		var before, after runtime.MemStats
		keep := make([]any, 0, 2*n)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range n {
			out, in := newPair(t, s, 0)
			keep = append(keep, out, in)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(keep)
		if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 4096 {
			t.Errorf("a pair takes %d bytes", each)
		} else {
			t.Logf("a pair takes %d bytes", each)
		}
	})
}

// FuzzOpen gives an Opener bytes that no peer with the keys made, and packets
// that one did, damaged.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), []byte{}, uint16(0), byte(0))
	f.Add(uint8(3), bytes.Repeat([]byte{1}, 100), uint16(0), byte(0))
	f.Add(uint8(6), make([]byte, 64), uint16(9), byte(0x80))
	f.Add(uint8(8), make([]byte, 48), uint16(20), byte(1))
	for i, payload := range machinetest.Seeds(f, "esp") {
		f.Add(uint8(i), payload, uint16(i), byte(i&1))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte, at uint16, flip byte) {
		if len(payload) > 2000 {
			return
		}
		out, in := newPair(t, suites[int(which)%len(suites)], 0)
		if got, p := open(in, payload); p.Drop == DropNone {
			t.Fatalf("opened %x from nobody", got)
		}
		packet := seal(t, out, payload)
		i := int(at) % len(packet)
		packet[i] ^= flip
		got, p := open(in, packet)
		if flip == 0 && (p.Drop != DropNone || !bytes.Equal(got, payload)) {
			t.Fatalf("lost: %v", p.Drop)
		}
		if flip != 0 && p.Drop == DropNone {
			t.Fatalf("byte %d spoilt and accepted", i)
		}
	})
}
