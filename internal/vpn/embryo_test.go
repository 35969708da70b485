package vpn

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// serial numbers responder cookies, all of which differ.
var serial atomic.Uint64

// keep adds an embryo, as of a first message that its initiator cookie names.
func (h *halfOpen) keep(e ike.Embryo) {
	h.add(keyOf(firstMessage{e.Path, e.Cookies.Initiator[:]}), e)
}

func embryoFrom(remote string, initiator byte, now time.Time) ike.Embryo {
	a := netip.MustParseAddrPort(remote)
	return ike.Embryo{
		Cookies: ike.Cookies{Initiator: [8]byte{initiator}, Responder: [8]byte(binary.BigEndian.AppendUint64(nil, serial.Add(1)))},
		Path:    ike.Path{Remote: a, Local: netip.MustParseAddrPort("192.0.2.1:500")}, Began: now,
	}
}

// Two hosts behind one address may have the same initiator cookie, and so may one
// that was switched on again. The end of the older record does not take the newer
// one's place away.
func TestEqualInitiatorCookies(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := newHalfOpen(5, 4)
	h.keep(embryoFrom("198.51.100.1:500", 1, now))
	h.keep(embryoFrom("198.51.100.1:500", 1, now))
	newer := embryoFrom("198.51.100.1:1500", 1, now.Add(time.Second))
	h.keep(newer)
	for i := range byte(3) { // until the first is overwritten, and the second is not
		h.keep(embryoFrom("198.51.100.2:500", 10+i, now))
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
		h.keep(embryoFrom(netip.AddrPortFrom(a, 500).String(), byte(i), now))
		h.keep(embryoFrom("198.51.100.1:500", byte(i), now))
		if len(h.cookies) > 64 || len(h.first) > 64 || len(h.sources) > 64 || len(h.sources[sourceOf(netip.MustParseAddr("198.51.100.1"))]) > 8 {
			t.Fatalf("%d cookies, %d first messages, %d sources", len(h.cookies), len(h.first), len(h.sources))
		}
	}
	last := embryoFrom("198.51.100.9:500", 200, now)
	h.keep(last)
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

// Every answer to a first message has a cookie of its own, which is recognised
// as ours where it was given, and nowhere else.
func TestEveryCookieDiffers(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 10, HalfOpenPerSource: 10}})
	path := ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:500"), Remote: netip.MustParseAddrPort("198.51.100.1:500")}
	other := path
	other.Remote = netip.MustParseAddrPort("198.51.100.2:500")
	seen := map[[8]byte]bool{}
	for range 1000 {
		c := ike.Cookies{Initiator: [8]byte{1}, Responder: s.cookie(path, [8]byte{1})}
		if seen[c.Responder] || c.Responder == [8]byte{} {
			t.Fatalf("cookie %x comes again", c.Responder)
		}
		seen[c.Responder] = true
		if !s.minted(path, c) || s.minted(other, c) || s.minted(path, ike.Cookies{Initiator: [8]byte{2}, Responder: c.Responder}) {
			t.Fatalf("cookie %x is not told from others", c.Responder)
		}
	}
}
