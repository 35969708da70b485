package ipsec

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

func newSecret(t testing.TB, n int) secret.Bytes { return secret.New(randomBytes(t, n)) }

// twins are two receivers of what one SA sends: one that opens packets in
// batches, and one that opens them one by one, with the standard library.
type twins struct {
	out      *Outbound
	in, slow *Inbound
	retired  bool
}

func newTwins(t testing.TB, s Suite) *twins {
	t.Helper()
	k := Keys{}
	enc, auth := s.KeyLen()
	k.Enc, k.Auth = newSecret(t, enc), newSecret(t, auth)
	p := new(twins)
	var err error
	if p.out, err = NewOutbound(testSPI, s, k); err != nil {
		t.Fatal(err)
	}
	for _, in := range []**Inbound{&p.in, &p.slow} {
		if *in, err = NewInbound(testSPI, s, k, 64); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// sealTogether seals a payload for each SA, in one batch.
func sealTogether(t testing.TB, s *Sealer, to []*twins, lengths []int) [][]byte {
	t.Helper()
	batch := make([]Out, len(to))
	payloads := make([][]byte, len(to))
	locked := map[*Outbound]bool{}
	for i, p := range to {
		if !locked[p.out] {
			locked[p.out] = true
			p.out.Lock()
			defer p.out.Unlock()
		}
		payloads[i] = randomBytes(t, lengths[i])
		batch[i] = newOut(p.out, payloads[i])
	}
	s.Seal(batch)
	packets := make([][]byte, len(to))
	for i, p := range batch {
		if p.Drop != DropNone {
			t.Fatal(p.Drop)
		}
		packets[i] = p.Buf[p.Off:p.End:p.End]
		if bytes.Contains(packets[i], payloads[i]) && lengths[i] >= 8 {
			t.Fatalf("packet %d is in the clear", i)
		}
	}
	return packets
}

// FuzzBatches opens a batch at once, on the best tier, and one by one without
// any kernel: whatever is forged, repeated, cut, of another SA or of a retired one
// among them, the same packets must come out of both, and both must count the
// same. The input is for each packet an SA, a length, and what becomes of it.
func FuzzBatches(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 90, 0, 0, 90, 1, 0, 90, 0})
	f.Add(bytes.Repeat([]byte{0, 250, 0, 8, 3, 2, 3, 17, 0, 6, 90, 3}, 12))
	f.Add(bytes.Repeat([]byte{1, 200, 0x40, 5, 200, 0x11, 9, 200, 0x02, 4, 1, 0x35}, 16))
	f.Add(bytes.Repeat([]byte{3, 12, 6, 3, 12, 7, 7, 255, 5, 2, 1, 4}, 20))
	f.Fuzz(func(t *testing.T, script []byte) {
		all := make([]*twins, len(suites)+2)
		for i := range all {
			all[i] = newTwins(t, suites[i%len(suites)]) // some suites have two SAs
		}
		var to []*twins
		var lengths []int
		var fates []byte
		for ; len(script) >= 3 && len(to) < 150; script = script[3:] {
			to = append(to, all[int(script[0])%len(all)])
			lengths = append(lengths, int(script[1])*6)
			fates = append(fates, script[2])
		}
		packets := sealTogether(t, newSealer(rand.Reader, lanes.Best()), to, lengths)
		for i, fate := range fates {
			p := packets[i]
			switch at := int(fate>>4) * len(p) / 16; fate & 7 {
			case 1: // forged
				p[at] ^= 1 << (fate >> 5)
			case 2: // cut, by as much as makes a truncated ICV of a whole one, or anywhere
				if at == 0 {
					at = 4
				}
				packets[i] = p[:max(8, len(p)-at):len(p)]
			case 3: // the one before again
				packets[i], to[i] = bytes.Clone(packets[max(0, i-1)]), to[max(0, i-1)]
			case 4: // for another SA
				to[i] = all[at%len(all)]
			case 5: // it comes earlier
				j := i * int(fate>>4) / 16
				packets[i], packets[j] = packets[j], packets[i]
				to[i], to[j] = to[j], to[i]
			case 6: // its SA ends before all of this
				to[i].retired = true
			case 7: // from far ahead
				binary.BigEndian.PutUint32(p[4:], uint32(fate)<<24)
			}
		}
		for _, p := range all {
			if p.retired {
				p.in.Retire()
				p.slow.Retire()
			}
		}
		compareOpeners(t, to, packets)
		for i, p := range all {
			if p.in.Packets() != p.slow.Packets() || p.in.Bytes() != p.slow.Bytes() || p.in.Sequence() != p.slow.Sequence() || p.in.users != 0 {
				t.Errorf("SA %d: %d packets, %d bytes, sequence %d; one by one %d, %d, %d; %d users", i, p.in.Packets(), p.in.Bytes(), p.in.Sequence(),
					p.slow.Packets(), p.slow.Bytes(), p.slow.Sequence(), p.in.users)
			}
		}
	})
}

// compareOpeners opens packets in both ways. They lie one behind another, as the
// segments of a train do, and what is between them must stay as it is.
func compareOpeners(t *testing.T, to []*twins, packets [][]byte) {
	t.Helper()
	const gap = 7
	var slab []byte
	for _, p := range packets {
		slab = append(append(slab, p...), bytes.Repeat([]byte{0xee}, gap)...)
	}
	batch, at := make([]In, len(packets)), 0
	for i, p := range packets {
		end := at + len(p)
		batch[i] = In{SA: to[i].in, Buf: slab[at:end:end], End: len(p)}
		at = end + gap
	}
	newOpener(lanes.Best()).Open(batch)
	at = 0
	for i, p := range packets {
		if at += len(p); !bytes.Equal(slab[at:at+gap], bytes.Repeat([]byte{0xee}, gap)) {
			t.Fatalf("something was written behind packet %d", i)
		}
		at += gap
		one := []In{{SA: to[i].slow, Buf: p, End: len(p)}}
		newOpener(lanes.Generic).Open(one)
		// A packet with two faults may be refused for either.
		if (one[0].Drop == DropNone) != (batch[i].Drop == DropNone) || one[0].Newest != batch[i].Newest {
			t.Fatalf("packet %d, %v: %v, newest %v; one by one %v, %v", i, to[i].in.Suite(), batch[i].Drop, batch[i].Newest, one[0].Drop, one[0].Newest)
		}
		if a, b := &batch[i], &one[0]; a.Drop == DropNone && !bytes.Equal(a.Buf[a.Off:a.End], b.Buf[b.Off:b.End]) {
			t.Fatalf("packet %d, %v: opened to\n%x, one by one to\n%x", i, a.SA.Suite(), a.Buf[a.Off:a.End], b.Buf[b.Off:b.End])
		}
	}
}
