package halfopen

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// A peer that repeats a first message within seconds is distinguished from a flood of
// other messages, and nothing is remembered for longer.
func TestWhoComesAgainIsKnown(t *testing.T) {
	a, now := newAgain(), time.Unix(1e9, 0)
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:500"), Remote: netip.MustParseAddrPort("198.51.100.1:500")}
	if a.seen(now, path, [8]byte{1}) {
		t.Error("known before it came")
	}
	taken := 0
	for i := range uint64(300_000) { // within two seconds
		other := path
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], i|1<<60)
		other.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), 500)
		if a.seen(now.Add(time.Duration(i)*7*time.Microsecond), other, b) {
			taken++
		}
	}
	if taken > 3_000 {
		t.Errorf("%d of 300,000 are taken for others", taken)
	}
	if !a.seen(now.Add(2*time.Second), path, [8]byte{1}) {
		t.Error("not known after two seconds")
	}
	for range 3 {
		now = now.Add(againTime + time.Second)
		a.seen(now, path, [8]byte{2})
	}
	if a.seen(now, path, [8]byte{1}) {
		t.Error("known for ever")
	}
}

// What was noted is also forgotten when the clock is set forward or back. Otherwise the
// filters would fill up, and every flood would be mistaken for clients.
func TestWhoComesAgainIsForgottenWhateverTheClockDoes(t *testing.T) {
	for _, jump := range []time.Duration{-24 * time.Hour, -time.Minute, time.Hour} {
		a, now := newAgain(), time.Unix(1e9, 0)
		path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:500"), Remote: netip.MustParseAddrPort("198.51.100.1:500")}
		a.seen(now, path, [8]byte{1})
		now = now.Add(jump)
		for range 3 {
			now = now.Add(againTime + time.Second)
			a.seen(now, path, [8]byte{2})
		}
		if a.seen(now, path, [8]byte{1}) {
			t.Errorf("set by %v: still known after %v", jump, 3*(againTime+time.Second))
		}
	}
}
