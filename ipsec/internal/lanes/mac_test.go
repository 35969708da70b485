package lanes

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"testing"
)

// namedEngine is an Engine and what kind it is.
type namedEngine struct {
	*Engine
	name string
}

var allHashes = []Hash{SHA1, SHA256, SHA384, SHA512}

func standard(h Hash, key []byte) hash.Hash {
	switch h {
	case SHA1:
		return hmac.New(sha1.New, key)
	case SHA256:
		return hmac.New(sha256.New, key)
	case SHA384:
		return hmac.New(sha512.New384, key)
	default:
		return hmac.New(sha512.New, key)
	}
}

// message is a MAC job in a buffer with guards, and what the buffer should be.
type message struct {
	job       MAC
	sum       []byte // as much of job.Sum as is written
	buf, want []byte
}

// newMessage makes a job of n bytes, at an odd place, whose sum goes right
// behind them, and asks the standard library what it is.
func newMessage(t testing.TB, r *rand.Rand, h Hash, n, sum int) *message {
	t.Helper()
	return newMACKey(t, r, h).message(r, n, sum)
}

// macKey is a key, for an Engine and for the standard library.
type macKey struct {
	key *MACKey
	raw []byte
}

func newMACKey(t testing.TB, r *rand.Rand, h Hash) macKey {
	t.Helper()
	raw := randomBytes(r, r.IntN(150))
	key, err := NewMACKey(h, raw)
	if err != nil {
		t.Fatal(err)
	}
	return macKey{key, raw}
}

func (k macKey) message(r *rand.Rand, n, sum int) *message {
	at := guard + r.IntN(64)
	m := &message{buf: randomBytes(r, at+n+sum+guard)}
	data := m.buf[at : at+n]
	m.job = MAC{k.key, data, m.buf[at+n : at+n+sum]}
	m.want = bytes.Clone(m.buf)
	s := standard(k.key.hash, k.raw)
	s.Write(data)
	m.sum = m.job.Sum[:min(sum, s.Size())]
	copy(m.want[at+n:], s.Sum(nil)[:len(m.sum)])
	return m
}

// copy is the same message elsewhere.
func (m *message) copy() *message {
	c := *m
	c.buf = bytes.Clone(m.buf)
	move := func(b []byte) []byte {
		at := cap(m.buf) - cap(b)
		return c.buf[at : at+len(b)]
	}
	c.job.Data, c.job.Sum, c.sum = move(m.job.Data), move(m.job.Sum), move(m.sum)
	return &c
}

// checkSums computes all jobs in one call, twice, with every Engine, and looks at
// everything that was or was not written.
func checkSums(t *testing.T, messages []*message) {
	t.Helper()
	jobs := make([]MAC, len(messages))
	for i, m := range messages {
		jobs[i] = m.job
	}
	for _, e := range engines() {
		for range 2 {
			for _, m := range messages {
				clear(m.sum)
			}
			e.Sum(jobs)
			for i, m := range messages {
				if bytes.Equal(m.buf, m.want) {
					continue
				}
				at := 0
				for m.buf[at] == m.want[at] {
					at++
				}
				t.Fatalf("%s: job %d of %d, HMAC-%v of %d bytes: is %x, and the first wrong byte of %d is at %d",
					e.name, i, len(messages), m.job.Key.hash, len(m.job.Data), m.job.Sum, len(m.buf), at)
			}
		}
	}
}

// Every number of lanes, and more jobs than are planned at a time; equal
// lengths and different ones; one hash and all of them.
func TestHMACAgreesWithTheStandardLibrary(t *testing.T) {
	r := newRand(11)
	counts := []int{63, 64, 65, 150}
	for n := range 41 {
		counts = append(counts, n)
	}
	for _, n := range counts {
		for kind := range 3 * len(allHashes) {
			var messages []*message
			length := r.IntN(700)
			for i := range n {
				h := allHashes[kind%len(allHashes)]
				switch kind / len(allHashes) {
				case 1:
					length = r.IntN(700)
				case 2:
					h, length = allHashes[i%(kind%len(allHashes)+1)], r.IntN(300)
				}
				messages = append(messages, newMessage(t, r, h, length, 12))
			}
			checkSums(t, messages)
		}
	}
}

// Full packets among acknowledgements, and one that is longer than any network
// carries.
func TestHMACOfVeryDifferentLengths(t *testing.T) {
	r := newRand(12)
	for _, h := range allHashes {
		for _, n := range []int{2, 5, 16, 33, 64, 80} {
			var messages []*message
			for i := range n {
				length := []int{1448, 104, 1448, 72, 1448, 1448, 88}[i%7]
				if i == n/2 {
					length = 65535
				}
				messages = append(messages, newMessage(t, r, h, length, 32))
			}
			checkSums(t, messages)
		}
	}
}

// Every length up to 300 bytes, and those around the edges of blocks up to 2048,
// in one lane and in all.
func TestHMACOfEveryLength(t *testing.T) {
	r := newRand(13)
	for n := range 2049 {
		if n > 300 && !slices.Contains([]int{0, 1, 47, 48, 55, 56, 63}, n%64) {
			continue // the padding is as with others
		}
		for _, h := range allHashes {
			m := newMessage(t, r, h, n, 64)
			same := []*message{m}
			checkSums(t, same)
			for range 15 {
				same = append(same, m.copy())
			}
			checkSums(t, same)
		}
	}
}

// As many bytes of the sum as there is room for, and no more than it has.
func TestTruncatedHMAC(t *testing.T) {
	r := newRand(14)
	for _, h := range allHashes {
		var messages []*message
		for n := range 80 {
			messages = append(messages, newMessage(t, r, h, 100, n))
			checkSums(t, messages[n:])
		}
		checkSums(t, messages)
	}
}

// Packets of one SA as they come: of every length up to 40 blocks, as many as fill
// the lanes and fewer, and with sums that are longer than what is computed together.
func TestHMACOfOneSA(t *testing.T) {
	r := newRand(17)
	for blocks := range 41 {
		for i, n := range []int{1, 6, 7, 16, 33} {
			k := newMACKey(t, r, allHashes[(blocks+i)/5%2])
			for _, sum := range []int{12, 16, 20} {
				var messages []*message
				for range n {
					messages = append(messages, k.message(r, HeadSize+BlockSize*(1+blocks), sum))
				}
				checkSums(t, messages)
				for i := range n {
					messages[i] = k.message(r, HeadSize+BlockSize*(1+blocks)+8, sum) // as with 3DES
				}
				checkSums(t, messages)
			}
		}
	}
}

// Lengths of which the number of bits has more than 16.
func TestHMACOfLongPacketsOfOneSA(t *testing.T) {
	r := newRand(20)
	k := newMACKey(t, r, SHA1)
	for _, n := range []int{8104, 8120, 8136, 8184, 65512, 65544} {
		var messages []*message
		for range 16 {
			messages = append(messages, k.message(r, n, 12))
		}
		checkSums(t, messages)
	}
}

// Trains of full packets of two SAs, each with a shorter one at its end, and sums
// that are not all as long.
func TestHMACOfTrains(t *testing.T) {
	r := newRand(18)
	const full = 1448
	for n := 0; n < 70; n += 3 {
		k, other := newMACKey(t, r, SHA1), newMACKey(t, r, SHA1)
		var messages []*message
		for i := range n {
			messages = append(messages, k.message(r, full, 12))
			if i%20 == 19 {
				messages = append(messages, other.message(r, full, 12))
			}
		}
		messages = append(messages, k.message(r, HeadSize+BlockSize*(1+r.IntN(89)), 12))
		for i := range 70 - n {
			messages = append(messages, other.message(r, full, 12+i/60*8))
		}
		checkSums(t, messages)
	}
}

// FuzzHMAC reads jobs from its input: for each a hash, how many follow with the
// same key, the length of the sum and that of the data.
func FuzzHMAC(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte{0, 12, 5, 168, 1, 16, 0, 55, 2, 24, 0, 112, 3, 32, 0, 127})
	f.Add(uint64(3), bytes.Repeat([]byte{0, 12, 5, 168}, 17))
	f.Add(uint64(4), bytes.Repeat([]byte{1, 16, 5, 168, 1, 16, 0, 104}, 13))
	f.Add(uint64(6), bytes.Repeat([]byte{0xf0, 12, 5, 168, 0x70, 16, 0, 104, 0, 12, 5, 168}, 4))
	f.Add(uint64(5), bytes.Repeat([]byte{3, 80, 1, 0, 2, 24, 0, 0, 0, 0, 8, 0}, 9))
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		r := newRand(seed)
		var messages []*message
		for ; len(script) >= 4 && len(messages) < 80; script = script[4:] {
			n := int(binary.BigEndian.Uint16(script[2:]) % 2100)
			k := newMACKey(t, r, allHashes[script[0]%4])
			for range 1 + script[0]>>4 {
				messages = append(messages, k.message(r, n, int(script[1]%90)))
			}
		}
		checkSums(t, messages)
	})
}

func TestHMACAllocatesNothing(t *testing.T) {
	r := newRand(15)
	var jobs []MAC
	for i := range 150 {
		jobs = append(jobs, newMessage(t, r, allHashes[i%4], r.IntN(1500), 12).job)
	}
	k := newMACKey(t, r, SHA1)
	for range 40 {
		jobs = append(jobs, k.message(r, 1448, 12).job)
	}
	for _, e := range engines() {
		for _, n := range []int{1, 3, 16, 64, 190} {
			if a := testing.AllocsPerRun(20, func() { e.Sum(jobs[:n]) }); a != 0 {
				t.Errorf("%s: %v allocations for %d jobs", e.name, a, n)
			}
		}
	}
}

func TestRefusedMACKeys(t *testing.T) {
	for _, h := range []Hash{0, SHA512 + 1, 255} {
		if _, err := NewMACKey(h, make([]byte, 20)); err == nil {
			t.Errorf("%v was accepted", h)
		}
	}
	for _, h := range allHashes {
		if _, err := NewMACKey(h, nil); err != nil {
			t.Errorf("%v without a key: %v", h, err)
		}
	}
}

// A key that was zeroed says nothing more of what it was.
func TestZeroedMACKeys(t *testing.T) {
	for _, h := range allHashes {
		k, err := NewMACKey(h, []byte("Jefe"))
		if err != nil {
			t.Fatal(err)
		}
		k.Zero()
		if got := fmt.Sprint(k.inner, k.outer); len(bytes.Trim([]byte(got), "{}[] 0")) != 0 {
			t.Errorf("%v: %s is left", h, got)
		}
	}
}
