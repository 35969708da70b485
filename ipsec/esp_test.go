package ipsec

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

var suites = []Suite{
	{AESCBC, 128, HMACSHA1_96},
	{AESCBC, 192, HMACSHA256_128},
	{AESCBC, 256, HMACSHA1_96},
	{AESCBC, 256, HMACSHA256_128},
	{AESCBC, 256, HMACSHA384_192},
	{AESCBC, 256, HMACSHA512_256},
	{TripleDESCBC, 0, HMACSHA1_96},
	{TripleDESCBC, 0, HMACSHA256_128},
	{AESGCM16, 128, AuthNone},
	{AESGCM16, 192, AuthNone},
	{AESGCM16, 256, AuthNone},
}

const testSPI = 0x00105c01

func newPair(t testing.TB, s Suite, window int) (*Outbound, *Inbound) {
	t.Helper()
	enc, auth := s.KeyLen()
	k := Keys{secret.New(randomBytes(t, enc)), secret.New(randomBytes(t, auth))}
	out, err := NewOutbound(testSPI, s, k)
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewInbound(testSPI, s, k, window)
	if err != nil {
		t.Fatal(err)
	}
	return out, in
}

func randomBytes(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// seal seals one payload and returns the ESP packet in a buffer of its own.
func seal(t testing.TB, out *Outbound, payload []byte) []byte {
	t.Helper()
	batch := []Out{newOut(out, payload)}
	out.Lock()
	defer out.Unlock()
	NewSealer(rand.Reader).Seal(batch)
	if batch[0].Drop != DropNone {
		t.Fatalf("not sealed: %v", batch[0].Drop)
	}
	return bytes.Clone(batch[0].Buf[batch[0].Off:batch[0].End])
}

func newOut(out *Outbound, payload []byte) Out {
	head := out.Suite().HeadRoom()
	buf := make([]byte, head+len(payload)+out.Suite().TailRoom())
	copy(buf[head:], payload)
	return Out{SA: out, Buf: buf, Off: head, End: head + len(payload)}
}

// open opens one packet, without touching it.
func open(in *Inbound, packet []byte) ([]byte, In) {
	batch := []In{{SA: in, Buf: bytes.Clone(packet), End: len(packet)}}
	NewOpener().Open(batch)
	p := batch[0]
	if p.Drop != DropNone {
		return nil, p
	}
	return p.Buf[p.Off:p.End], p
}

func eachSuite(t *testing.T, f func(t *testing.T, s Suite)) {
	for _, s := range suites {
		t.Run(s.String(), func(t *testing.T) { f(t, s) })
	}
}

func TestEveryPayloadLengthComesBack(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 0)
		for n := 8; n < 200; n++ {
			payload := randomBytes(t, n)
			packet := seal(t, out, payload)
			if len(packet) != n+s.Overhead(n) {
				t.Fatalf("%d bytes sealed to %d, Overhead says %d", n, len(packet), n+s.Overhead(n))
			}
			if m := s.MaxPayload(len(packet)); m < n || m+s.Overhead(m) > len(packet) {
				t.Fatalf("MaxPayload(%d) = %d, but %d fit", len(packet), m, n)
			}
			if bytes.Contains(packet, payload) {
				t.Fatal("the payload is in the clear")
			}
			got, p := open(in, packet)
			if !bytes.Equal(got, payload) || !p.Newest {
				t.Fatalf("%d bytes: drop %v, newest %v", n, p.Drop, p.Newest)
			}
		}
		if in.Packets() != 192 || in.Bytes() < 192*8 || in.Sequence() != 192 || out.Packets() != 192 || out.Sequence() != 192 {
			t.Errorf("counted in %d packets, %d bytes, sequence %d; out %d, %d", in.Packets(), in.Bytes(), in.Sequence(), out.Packets(), out.Sequence())
		}
	})
}

// Batches of several SAs, sealed and opened by every tier that this CPU has,
// each by each: packets are the same whichever tier makes them.
func TestBatchOfSeveralSAs(t *testing.T) {
	for sealing := range lanes.Best() + 1 {
		for opening := range lanes.Best() + 1 {
			sealSeveral(t, newSealer(rand.Reader, sealing), newOpener(opening))
		}
	}
}

func sealSeveral(t *testing.T, sealer *Sealer, opener *Opener) {
	t.Helper()
	var batch []Out
	var ins []*Inbound
	var payloads [][]byte
	for round := range 9 {
		for _, s := range suites {
			if round == 0 {
				out, in := newPair(t, s, 0)
				ins = append(ins, in)
				out.Lock()
				defer out.Unlock()
				batch = append(batch, Out{SA: out})
			} else {
				batch = append(batch, Out{SA: batch[len(batch)-len(suites)].SA})
				ins = append(ins, ins[len(ins)-len(suites)])
			}
			payload := randomBytes(t, 8+(97*len(batch))%1400)
			payloads = append(payloads, payload)
			batch[len(batch)-1] = newOut(batch[len(batch)-1].SA, payload)
		}
	}
	sealer.Seal(batch)
	opened := make([]In, len(batch))
	forged := map[int]bool{}
	for i, p := range batch {
		opened[i] = In{SA: ins[i], Buf: p.Buf, Off: p.Off, End: p.End}
		if i%13 == 5 { // its neighbours in the lanes are opened all the same
			p.Buf[p.Off+40] ^= 1
			forged[i] = true
		}
	}
	opener.Open(opened)
	for i, p := range opened {
		if forged[i] {
			if p.Drop != DropICV {
				t.Errorf("element %d, %v, forged: drop %v", i, p.SA.Suite(), p.Drop)
			}
			continue
		}
		if p.Drop != DropNone || !bytes.Equal(p.Buf[p.Off:p.End], payloads[i]) {
			t.Errorf("element %d, %v: drop %v", i, p.SA.Suite(), p.Drop)
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 0)
		packet := seal(t, out, randomBytes(t, 33))
		for bit := 32; bit < 8*len(packet); bit++ { // the SPI chose the SA
			packet[bit/8] ^= 1 << (bit % 8)
			if _, p := open(in, packet); p.Drop == DropNone {
				t.Fatalf("bit %d flipped and accepted", bit)
			}
			packet[bit/8] ^= 1 << (bit % 8)
		}
		packet[0] ^= 1 // it is authenticated all the same
		if _, p := open(in, packet); p.Drop != DropICV {
			t.Errorf("another SPI: %v", p.Drop)
		}
		packet[0] ^= 1
		if _, p := open(in, packet); p.Drop != DropNone {
			t.Errorf("forgeries spoilt the packet itself: %v", p.Drop)
		}
	})
}

func TestEveryTruncationIsRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 0)
		if _, p := open(in, seal(t, out, randomBytes(t, 60))); p.Drop != DropNone {
			t.Fatal(p.Drop)
		}
		packet := seal(t, out, randomBytes(t, 60))
		for n := range packet {
			if _, p := open(in, packet[:n]); p.Drop != DropShort && p.Drop != DropICV {
				t.Fatalf("%d of %d bytes: %v", n, len(packet), p.Drop)
			}
		}
		if in.Sequence() != 1 || in.Packets() != 1 {
			t.Error("a refused packet moved the window")
		}
	})
}

func TestReplaysAreRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 64)
		var packets [][]byte
		for range 200 {
			packets = append(packets, seal(t, out, randomBytes(t, 20)))
		}
		for _, step := range []struct {
			seq    int
			want   Drop
			newest bool
			why    string
		}{
			{100, DropNone, true, "the first"},
			{100, DropReplay, false, "again"},
			{99, DropNone, false, "late"},
			{99, DropReplay, false, "late, again"},
			{37, DropNone, false, "at the left edge of 64"},
			{36, DropReplay, false, "left of the window"},
			{200, DropNone, true, "far ahead"},
			{136, DropReplay, false, "left of the moved window"},
			{137, DropNone, false, "within the moved window"},
		} {
			if _, p := open(in, packets[step.seq-1]); p.Drop != step.want || p.Newest != step.newest {
				t.Errorf("%d, %s: drop %v, newest %v", step.seq, step.why, p.Drop, p.Newest)
			}
		}

		// Twice within one batch.
		batch := make([]In, 2)
		for i := range batch {
			batch[i] = In{SA: in, Buf: bytes.Clone(packets[189]), End: len(packets[189])}
		}
		NewOpener().Open(batch)
		if batch[0].Drop != DropNone || batch[1].Drop != DropReplay {
			t.Errorf("twice in a batch: %v, %v", batch[0].Drop, batch[1].Drop)
		}
	})
}

// The window against a model that remembers everything.
func TestWindowAgreesWithModel(t *testing.T) {
	for _, size := range []int{32, 64, 100, 1024} {
		w, seen, top := newWindow(size), map[uint32]bool{}, uint32(0)
		seed := uint32(size)
		for range 20000 {
			seed = seed*1664525 + 1013904223
			jump := seed >> 20
			seq := top + jump%7
			switch {
			case jump%5 == 0:
				seq = top - min(top, jump%uint32(size+10))
			case jump%997 == 0:
				seq = top + jump
			}
			want := seq != 0 && !seen[seq] && (seq > top || top-seq < uint32(size))
			fresh, newest := w.accept(seq)
			if fresh != want || newest != (want && seq > top) {
				t.Fatalf("window %d, sequence %d, top %d: fresh %v, newest %v", size, seq, top, fresh, newest)
			}
			if fresh {
				seen[seq] = true
				top = max(top, seq)
			}
		}
	}
}

func TestSequenceZeroIsRefused(t *testing.T) {
	out, in := newPair(t, suites[0], 0)
	packet := seal(t, out, make([]byte, 20))
	clear(packet[4:8])
	if _, p := open(in, packet); p.Drop != DropSequence {
		t.Errorf("got %v", p.Drop)
	}
}

// sealInner seals plaintext that already has its ESP padding and trailer.
func sealInner(t *testing.T, out *Outbound, plain []byte) []byte {
	t.Helper()
	p := newOut(out, plain)
	out.Lock()
	defer out.Unlock()
	out.seq++
	p.Off -= out.suite.HeadRoom()
	p.End += out.icvLen()
	binary.BigEndian.PutUint32(p.Buf[p.Off:], out.spi)
	binary.BigEndian.PutUint32(p.Buf[p.Off+4:], uint32(out.seq))
	s := NewSealer(rand.Reader)
	batch := []Out{p}
	s.seal(batch)
	return p.Buf[p.Off:p.End]
}

// An SA of another protocol than UDP carries that one alone, both ways.
func TestAnSACarriesOneProtocol(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		for _, protocol := range []uint8{4, 17, 41, 47} {
			out, in := newPair(t, s, 0)
			out.Carry(protocol)
			in.Carry(protocol)
			payload := []byte("what is inside")
			got, p := open(in, seal(t, out, payload))
			if p.Drop != DropNone || !bytes.Equal(got, payload) || out.Protocol() != protocol || in.Protocol() != protocol {
				t.Errorf("protocol %d: %v, %q", protocol, p.Drop, got)
			}
			in.Carry(protocol + 1)
			if _, p := open(in, seal(t, out, payload)); p.Drop != DropNextHeader {
				t.Errorf("protocol %d on an SA for %d: %v", protocol, protocol+1, p.Drop)
			}
		}
	})
}

func TestInnerTrailer(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 0)
		for _, v := range []struct {
			pad, next byte
			want      Drop
		}{
			{14, 17, DropNone},
			{0, 17, DropNone},
			{30, 17, DropNone}, // all of it, and more than a block
			{31, 17, DropPadding},
			{255, 17, DropPadding},
			{0, 59, DropDummy},
			{255, 59, DropDummy},
			{0, 4, DropNextHeader},
			{0, 50, DropNextHeader},
		} {
			plain := make([]byte, 32)
			plain[30], plain[31] = v.pad, v.next
			got, p := open(in, sealInner(t, out, plain))
			if p.Drop != v.want || v.want == DropNone && len(got) != 30-int(v.pad) {
				t.Errorf("pad %d, next header %d: drop %v, %d bytes", v.pad, v.next, p.Drop, len(got))
			}
		}
	})
}
