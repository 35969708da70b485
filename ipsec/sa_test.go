package ipsec

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec/internal/lanes"
)

func TestRetiredSAs(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 0)
		packet := seal(t, out, make([]byte, 40))
		kept := []expanded{out.keys, in.keys}
		var before [][]byte
		for i, k := range kept {
			before = append(before, traces(k, i == 1)...)
		}
		in.Retire()
		in.Retire()
		if _, p := open(in, packet); p.Drop != DropRetired {
			t.Errorf("opened by a retired SA: %v", p.Drop)
		}
		out.Retire()
		batch := []Out{newOut(out, make([]byte, 40))}
		out.Lock()
		defer out.Unlock()
		NewSealer(rand.Reader).Seal(batch)
		if batch[0].Drop != DropRetired {
			t.Errorf("sealed by a retired SA: %v", batch[0].Drop)
		}
		if out.keys != (expanded{}) || in.keys != (expanded{}) {
			t.Error("key material is left")
		}
		for i, k := range kept {
			for _, trace := range traces(k, i == 1) {
				if bytes.Equal(trace, before[0]) {
					t.Error("a zeroed key still works")
				}
				before = before[1:]
			}
		}
	})
}

// traces is what the keys of an SA make of a block of zeros, those that this package can
// zero.
func traces(k expanded, inbound bool) [][]byte {
	var all [][]byte
	engine := lanes.New(lanes.Best())
	if k.aes != nil {
		b := make([]byte, 2*lanes.BlockSize)
		if jobs := []lanes.CBC{{Key: k.aes, Data: b}}; inbound {
			engine.DecryptCBC(jobs)
		} else {
			engine.EncryptCBC(jobs)
		}
		all = append(all, b)
	}
	if k.mac != nil {
		b := make([]byte, 12)
		engine.Sum([]lanes.MAC{{Key: k.mac, Data: make([]byte, 64), Sum: b}})
		all = append(all, b)
	}
	return all
}

// Retire while two workers open: under the race detector this proves that the
// keys are zeroed only when nobody reads them.
func TestRetireWhileOpening(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, in := newPair(t, s, 0)
		var packets [][]byte
		for range 400 {
			packets = append(packets, seal(t, out, make([]byte, 100)))
		}
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				for i := w; i < len(packets); i += 2 {
					if i == 200 {
						in.Retire()
					}
					if _, p := open(in, packets[i]); p.Drop != DropNone && p.Drop != DropRetired {
						t.Errorf("packet %d: %v", i, p.Drop)
					}
				}
			})
		}
		wg.Wait()
		if in.users != 0 || in.keys != (expanded{}) {
			t.Errorf("%d users, keys kept: %v", in.users, in.keys != (expanded{}))
		}
	})
}

// The same with batches of several SAs, in turn, of which each is retired at
// another time: what is open of one in a lane does not keep, or lose, the keys of
// its neighbours.
func TestRetireWhileBatchesAreOpened(t *testing.T) {
	const rounds, each = 20, 8
	var all []*twins
	for range 3 {
		for _, s := range suites {
			all = append(all, newTwins(t, s))
		}
	}
	var to []*twins
	var lengths []int
	for i := range rounds * each * len(all) {
		to, lengths = append(to, all[i*7%len(all)]), append(lengths, i*31%700)
	}
	packets := sealTogether(t, NewSealer(rand.Reader), to, lengths)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			o, n := NewOpener(), len(packets)/rounds
			for round := w; round < rounds; round += 2 {
				batch := make([]In, 0, n)
				for i := round * n; i < (round+1)*n; i++ {
					batch = append(batch, In{SA: to[i].in, Buf: packets[i], End: len(packets[i])})
				}
				o.Open(batch)
				for i := range batch {
					if d := batch[i].Drop; d != DropNone && d != DropRetired && d != DropReplay { // the other worker may be far ahead
						t.Errorf("packet %d, %v: %v", i, batch[i].SA.Suite(), d)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for _, p := range all {
			for p.in.Packets() < each {
				runtime.Gosched()
			}
			p.in.Retire()
		}
	})
	wg.Wait()
	for _, p := range all {
		if p.in.users != 0 || p.in.keys != (expanded{}) {
			t.Errorf("%v: %d users, keys kept: %v", p.in.Suite(), p.in.users, p.in.keys != (expanded{}))
		}
	}
}

func TestSequenceNumbersEnd(t *testing.T) {
	out, in := newPair(t, suites[0], 0)
	if out.Exhausted() || in.Exhausted() {
		t.Fatal("exhausted at once")
	}
	out.seq = softSequence - 1
	packet := seal(t, out, make([]byte, 20))
	if _, p := open(in, packet); p.Drop != DropNone {
		t.Fatal(p.Drop)
	}
	if !out.Exhausted() || !in.Exhausted() {
		t.Error("not exhausted at 3·2^30")
	}
	out.seq = maxSequence - 1
	if _, p := open(in, seal(t, out, make([]byte, 20))); p.Drop != DropNone {
		t.Errorf("the last number: %v", p.Drop)
	}
	batch := []Out{newOut(out, make([]byte, 20))}
	out.Lock()
	defer out.Unlock()
	NewSealer(rand.Reader).Seal(batch)
	if batch[0].Drop != DropExhausted {
		t.Errorf("after the last number: %v", batch[0].Drop)
	}
}

func TestSoftLimit(t *testing.T) {
	out, _ := newPair(t, suites[0], 0)
	out.SetLimit(100)
	seal(t, out, make([]byte, 60))
	if out.Exhausted() {
		t.Error("exhausted after 60 of 100 bytes")
	}
	seal(t, out, make([]byte, 60))
	if !out.Exhausted() {
		t.Error("not exhausted after 120 of 100 bytes")
	}
	seal(t, out, make([]byte, 60)) // soft: it still seals
}

// A peer that truncates HMAC-SHA2-256 to 96 bits is understood; one that was
// seen not to is held to the whole 128.
func TestTruncatedSHA256(t *testing.T) {
	for _, s := range []Suite{{AESCBC, 128, HMACSHA256_128}, {TripleDESCBC, 0, HMACSHA256_128}} {
		out, in := newPair(t, s, 0)
		out.SetTruncated(true)
		for range 3 {
			if _, p := open(in, seal(t, out, make([]byte, 50))); p.Drop != DropNone || !in.Truncated() {
				t.Errorf("%v: %v, truncated %v", s, p.Drop, in.Truncated())
			}
		}
		out.SetTruncated(false)
		whole := seal(t, out, make([]byte, 50))
		if n := len(whole); n != 50+s.Overhead(50) {
			t.Errorf("%v: %d bytes", s, n)
		}
		if _, p := open(in, whole); p.Drop != DropNone || in.Truncated() {
			t.Errorf("%v: whole %v, truncated %v", s, p.Drop, in.Truncated())
		}
		out.SetTruncated(true)
		if _, p := open(in, seal(t, out, make([]byte, 50))); p.Drop != DropShort {
			t.Errorf("%v: truncated after a whole one: %v", s, p.Drop)
		}

		// Also within one batch.
		out, in = newPair(t, s, 0)
		whole = seal(t, out, make([]byte, 50))
		out.SetTruncated(true)
		short := seal(t, out, make([]byte, 50))
		batch := []In{{SA: in, Buf: whole, End: len(whole)}, {SA: in, Buf: short, End: len(short)}}
		NewOpener().Open(batch)
		if batch[0].Drop != DropNone || batch[1].Drop != DropShort || in.Sequence() != 1 {
			t.Errorf("%v: in one batch: whole %v, truncated %v", s, batch[0].Drop, batch[1].Drop)
		}
	}
	out, _ := newPair(t, Suite{AESCBC, 128, HMACSHA1_96}, 0)
	out.SetTruncated(true)
	if n := len(seal(t, out, make([]byte, 30))); n != 8+16+32+12 {
		t.Errorf("SHA1 is 96 bits anyway, the packet has %d bytes", n)
	}
}

func TestNoRoom(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		out, _ := newPair(t, s, 0)
		whole := newOut(out, make([]byte, 40))
		batch := []Out{whole, whole}
		batch[0].Off--
		batch[1].Buf = whole.Buf[:len(whole.Buf)-1]
		out.Lock()
		defer out.Unlock()
		NewSealer(rand.Reader).Seal(batch)
		for i := range batch {
			if batch[i].Drop != DropRoom {
				t.Errorf("element %d: %v", i, batch[i].Drop)
			}
		}
		if out.Sequence() != 0 {
			t.Error("a dropped packet took a sequence number")
		}
	})
}

func TestNoRandomness(t *testing.T) {
	out, _ := newPair(t, suites[0], 0)
	batch := []Out{newOut(out, make([]byte, 40))}
	out.Lock()
	defer out.Unlock()
	NewSealer(io.LimitReader(rand.Reader, ivSeedLen-1)).Seal(batch)
	if batch[0].Drop != DropRandom {
		t.Errorf("got %v", batch[0].Drop)
	}
}

// RFC 3602, section 3: "The IV MUST be chosen at random, and MUST be
// unpredictable."
func TestIVsComeFromRandomness(t *testing.T) {
	out, _ := newPair(t, suites[0], 0)
	seeds := randomBytes(t, 2*ivSeedLen)
	s := NewSealer(bytes.NewReader(seeds))
	out.Lock()
	defer out.Unlock()
	seen := map[string]bool{}
	for _, seed := range [][]byte{seeds[:ivSeedLen], seeds[ivSeedLen:]} {
		block, err := aes.NewCipher(seed[:32])
		if err != nil {
			t.Fatal(err)
		}
		stream := make([]byte, ivStock+70*16)
		cipher.NewCTR(block, seed[32:]).XORKeyStream(stream, stream)
		// The last batch needs more than is left of the stock, and than a stock.
		for _, b := range []struct{ n, at int }{{3, 0}, {2, 3 * 16}, {70, ivStock}} {
			n, want := b.n, stream[b.at:]
			var batch []Out
			for range n {
				batch = append(batch, newOut(out, make([]byte, 40)))
			}
			s.Seal(batch)
			for i, p := range batch {
				iv := p.Buf[p.Off+8 : p.Off+24]
				if !bytes.Equal(iv, want[:16]) || seen[string(iv)] {
					t.Errorf("packet %d of %d has the IV %x, want %x, and never again", i, n, iv, want[:16])
				}
				seen[string(iv)], want = true, want[16:]
			}
		}
		s.ivs.left, s.ivs.stock = 2, nil // fewer than the next batch needs: the second seed
	}
	s.ivs.left, s.ivs.stock = 0, nil
	batch := []Out{newOut(out, make([]byte, 40))}
	if s.Seal(batch); batch[0].Drop != DropRandom {
		t.Errorf("without a third seed: %v", batch[0].Drop)
	}
}

func TestRefusedSuites(t *testing.T) {
	key := func(n int) secret.Bytes { return secret.New(bytes.Repeat([]byte{0x5a}, n)) }
	for _, v := range []struct {
		s         Suite
		enc, auth int
	}{
		{Suite{}, 0, 0},
		{Suite{AESCBC, 64, HMACSHA1_96}, 8, 20},
		{Suite{AESCBC, 128, AuthNone}, 16, 0},
		{Suite{AESCBC, 128, 9}, 16, 20},
		{Suite{AESCBC, 128, HMACSHA1_96}, 32, 20},
		{Suite{AESCBC, 128, HMACSHA1_96}, 16, 16},
		{Suite{AESGCM16, 128, HMACSHA1_96}, 20, 20},
		{Suite{AESGCM16, 128, AuthNone}, 16, 0},
		{Suite{TripleDESCBC, 0, HMACSHA1_96}, 16, 20},
	} {
		_, err1 := NewOutbound(1000, v.s, Keys{key(v.enc), key(v.auth)})
		_, err2 := NewInbound(1000, v.s, Keys{key(v.enc), key(v.auth)}, 0)
		if !errors.Is(err1, ErrSuite) || !errors.Is(err2, ErrSuite) {
			t.Errorf("%v with %d and %d bytes of key: %v, %v", v.s, v.enc, v.auth, err1, err2)
		} else if strings.Contains(fmt.Sprintf("%v%+v", err1, err2), "ZZ") {
			t.Error("a key is in the error")
		}
	}
}
