package halfopen

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// again remembers first messages that there was no time for. A client repeats its message
// within seconds, and is then served next. Of forged messages, each with another source,
// hardly any arrives twice. again consists of two Bloom filters with two hashes each: one
// is being filled, the other is the previous one. So what was noted is known for some
// seconds and then forgotten. All methods are safe for concurrent use.
type again struct {
	seed    maphash.Seed
	turned  atomic.Int64 // when the filters were last switched, Unix nanoseconds
	current atomic.Int32 // which filter is being filled
	bits    [2]filter
}

const (
	againWords = 1 << 18 // 8 Mbit: at 150,000 messages a second, one in thirty is a false positive
	againTime  = 4 * time.Second
)

func newAgain() *again { return &again{seed: maphash.MakeSeed()} }

// seen reports whether a first message was noted before, and notes it.
func (a *again) seen(now time.Time, path ike.Path, initiator [8]byte) bool {
	t := a.turned.Load()
	age := now.UnixNano() - t // negative if the clock was set back
	if (age > int64(againTime) || age < 0) && a.turned.CompareAndSwap(t, now.UnixNano()) {
		next := 1 - a.current.Load()
		for i := range a.bits[next] {
			a.bits[next][i].Store(0)
		}
		a.current.Store(next)
	}
	h := maphash.Comparable(a.seed, struct {
		path      ike.Path
		initiator [8]byte
	}{path, initiator})
	at := a.current.Load()
	noted := a.bits[at].note(h)
	return noted || a.bits[1-at].has(h)
}

// filter is a Bloom filter with two hashes, which are the halves of one.
type filter [againWords]atomic.Uint32

// note adds a hash, and reports whether the filter contained it.
func (f *filter) note(h uint64) bool {
	w1, b1, w2, b2 := places(h)
	was1, was2 := f[w1].Or(b1)&b1, f[w2].Or(b2)&b2
	return was1 != 0 && was2 != 0
}

func (f *filter) has(h uint64) bool {
	w1, b1, w2, b2 := places(h)
	return f[w1].Load()&b1 != 0 && f[w2].Load()&b2 != 0
}

// places returns two bits of a filter, and the words that they are in.
func places(h uint64) (w1 uint32, b1 uint32, w2 uint32, b2 uint32) {
	first, second := uint32(h), uint32(h>>32)
	return first / 32 % againWords, 1 << (first % 32), second / 32 % againWords, 1 << (second % 32)
}
