package vpn

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

func embryoFrom(remote string, initiator byte, now time.Time) ike.Embryo {
	a := netip.MustParseAddrPort(remote)
	return ike.Embryo{
		Cookies: ike.Cookies{Initiator: [8]byte{initiator}, Responder: [8]byte{1, initiator}},
		Path:    ike.Path{Remote: a, Local: netip.MustParseAddrPort("192.0.2.1:500")}, Began: now,
	}
}

// Two hosts behind one address may come to the same cookies, which follow from
// the address and the initiator's. The end of the older record does not take
// the newer one's place away.
func TestEqualCookiesOfTwoPorts(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := newHalfOpen(4, 4)
	h.add(embryoFrom("198.51.100.1:500", 1, now))
	newer := embryoFrom("198.51.100.1:1500", 1, now.Add(time.Second))
	h.add(newer)
	for i := range byte(3) { // until the first is overwritten, and the second is not
		h.add(embryoFrom("198.51.100.2:500", 10+i, now))
	}
	if e, ok := h.take(newer.Cookies, newer.Path, now.Add(2*time.Second)); !ok || e.Path != newer.Path {
		t.Errorf("the newer record is %v, %v", e.Path, ok)
	}
	h.expire(now.Add(time.Hour), func(*ike.Embryo) {})
	if len(h.cookies) != 0 || len(h.first) != 0 || len(h.sources) != 0 {
		t.Errorf("%d cookies, %d first messages and %d sources are left", len(h.cookies), len(h.first), len(h.sources))
	}
}

// A flood from forged sources costs what the ring holds, and a message 3 is
// taken only from the address that message 1 came from.
func TestTheRingIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := newHalfOpen(64, 8)
	for i := range 10000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		h.add(embryoFrom(netip.AddrPortFrom(a, 500).String(), byte(i), now))
		h.add(embryoFrom("198.51.100.1:500", byte(i), now))
		if len(h.cookies) > 64 || len(h.first) > 64 || len(h.sources) > 64 || len(h.sources[sourceOf(netip.MustParseAddr("198.51.100.1"))]) > 8 {
			t.Fatalf("%d cookies, %d first messages, %d sources", len(h.cookies), len(h.first), len(h.sources))
		}
	}
	last := embryoFrom("198.51.100.9:500", 200, now)
	h.add(last)
	elsewhere := last.Path
	elsewhere.Remote = netip.MustParseAddrPort("198.51.100.10:500")
	if _, ok := h.take(last.Cookies, elsewhere, now); ok {
		t.Error("taken from another address")
	}
	if _, ok := h.take(last.Cookies, last.Path, now.Add(embryoLife+time.Second)); ok {
		t.Error("taken too late")
	}
	if _, ok := h.take(last.Cookies, last.Path, now); !ok {
		t.Error("not taken")
	}
	if _, ok := h.take(last.Cookies, last.Path, now); ok {
		t.Error("taken twice")
	}
}
