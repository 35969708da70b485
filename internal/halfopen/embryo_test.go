package halfopen

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

func nobody(*ike.Embryo) {}

// serial numbers the responder cookies, so that all differ.
var serial atomic.Uint64

// keep adds an embryo, as if of a first message that its initiator cookie identifies.
func (h *embryos) keep(e ike.Embryo) {
	h.add(firstMessage{e.Path, e.Cookies.Initiator[:]}, e, e.Began)
}

func embryoFrom(remote string, initiator byte, now time.Time) ike.Embryo {
	a := netip.MustParseAddrPort(remote)
	return ike.Embryo{
		Cookies: ike.Cookies{Initiator: [8]byte{initiator}, Responder: [8]byte(binary.BigEndian.AppendUint64(nil, serial.Add(1)))},
		Path:    ike.Path{Remote: a, Local: netip.MustParseAddrPort("192.0.2.1:500")}, Began: now,
	}
}

// Two hosts behind one address may have the same initiator cookie, and so may a host that
// was restarted. When the older record ends, the newer one keeps its place.
func TestEqualInitiatorCookies(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := newEmbryos(5, 1<<20, nobody)
	h.keep(embryoFrom("198.51.100.1:500", 1, now))
	h.keep(embryoFrom("198.51.100.1:500", 1, now))
	newer := embryoFrom("198.51.100.1:1500", 1, now.Add(time.Second))
	h.keep(newer)
	h.drop(h.common.Oldest().Value)
	if e, _, ok := h.take(newer.Cookies, newer.Path, now.Add(2*time.Second)); !ok || e.Path != newer.Path {
		t.Errorf("the newer record is %v, %v", e.Path, ok)
	}
	h.expire(now.Add(time.Hour))
	if len(h.cookies) != 0 || len(h.first) != 0 || h.common.Len() != 0 || len(h.common.Origins()) != 0 {
		t.Errorf("%d cookies, %d first messages, %d embryos of %d origins are left", len(h.cookies), len(h.first), h.common.Len(), len(h.common.Origins()))
	}
}

// A flood from forged sources costs no more than the ring holds, and a message 3 is
// accepted only from the address that message 1 came from.
func TestTheRingIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := newEmbryos(64, 1<<20, nobody)
	for i := range 10000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		h.keep(embryoFrom(netip.AddrPortFrom(a, 500).String(), byte(i), now))
		h.keep(embryoFrom("198.51.100.1:500", byte(i), now))
		if len(h.cookies) > 64 || len(h.first) > 64 || len(h.common.Origins()) > 2*64 {
			t.Fatalf("%d cookies, %d first messages, %d prefixes", len(h.cookies), len(h.first), len(h.common.Origins()))
		}
	}
	last := embryoFrom("198.51.100.9:500", 200, now)
	h.keep(last)
	elsewhere := last.Path
	elsewhere.Remote = netip.MustParseAddrPort("198.51.100.10:500")
	if _, _, ok := h.take(last.Cookies, elsewhere, now); ok {
		t.Error("taken from another address")
	}
	if _, _, ok := h.take(last.Cookies, last.Path, now.Add(embryoLife+time.Second)); ok {
		t.Error("taken too late")
	}
	if _, _, ok := h.take(last.Cookies, last.Path, now); !ok {
		t.Error("not taken")
	}
	if _, _, ok := h.take(last.Cookies, last.Path, now); ok {
		t.Error("taken twice")
	}
}

// mostBytes is the most that the records may cost.
const mostBytes = 32 << 20

// Records of first messages are bounded in bytes, and large ones do not displace those of
// usual size.
func TestLargeFirstMessagesDisplaceLargeOnes(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := newEmbryos(4096, mostBytes, nobody)
	honest := embryoFrom("198.51.100.1:500", 1, now)
	h.keep(honest)
	for i := range 10000 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 500)
		e := embryoFrom(a.String(), byte(i), now)
		e.Offer = make([]byte, 12<<10)
		h.add(firstMessage{ike.Path{Remote: a}, append([]byte{byte(i), byte(i >> 8)}, make([]byte, 12<<10)...)}, e, now)
	}
	if h.bytes > mostBytes || h.large.Len() > 4096/largeShare {
		t.Errorf("%d bytes of %d large records", h.bytes, h.large.Len())
	}
	if _, _, ok := h.take(honest.Cookies, honest.Path, now); !ok {
		t.Error("the record of usual size is gone")
	}
	h.expire(now.Add(time.Hour))
	if h.bytes != 0 || h.live() != 0 {
		t.Errorf("%d bytes of %d records remain", h.bytes, h.live())
	}
}
