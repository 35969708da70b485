package halfopen

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// The cost of Aggressive Mode is bounded: at one time, per second, and per source.
func TestAnswersOfAggressiveModeAreRationed(t *testing.T) {
	c := newComputing()
	now := time.Unix(1e9, 0)
	key := func(source, n byte) firstKey {
		return firstKey{ike.Path{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, source}), 500)}, [8]byte{n}, [sumLen]byte{}}
	}
	if !c.may(now, key(1, 1)) || c.may(now, key(1, 1)) {
		t.Error("a message is answered twice at once, or not at all")
	}
	for n := byte(2); n < 100; n++ {
		c.may(now, key(2, n))
	}
	if len(c.busy) != aggressiveAtOnce {
		t.Errorf("%d answers are under way, want %d", len(c.busy), aggressiveAtOnce)
	}
	count := func(sources byte) (n int) {
		for s := range sources {
			for i := range byte(100) {
				if c.may(now, key(s, i)) {
					n++
				}
				clear(c.busy) // finished at once
			}
		}
		return n
	}
	now = now.Add(time.Second)
	if n := count(1); n != aggressivePerSource {
		t.Errorf("one source got %d answers in a second, want %d", n, aggressivePerSource)
	}
	now = now.Add(time.Second)
	if n := count(50); n != aggressiveRate {
		t.Errorf("all got %d answers in a second, want %d", n, aggressiveRate)
	}
	if len(c.sources) > aggressiveRate {
		t.Errorf("%d sources are remembered", len(c.sources))
	}
}
