package vpn

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/halfopen"
)

// What strangers make us hold is bounded in total and per origin, however many there are,
// and an honest client's certificates still find room.
func TestTheMemoryOfStrangersIsBounded(t *testing.T) {
	for name, source := range map[string]func(i int) string{
		"one address":         func(int) string { return "198.51.100.1" },
		"addresses":           func(i int) string { return fmt.Sprintf("10.1.%d.%d", i>>8, i&255) },
		"networks of one /48": func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i) },
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{Policy: &Policy{HalfOpen: 4096, HalfOpenPerSource: 256}})
			var flood []*Conn
			for i := range 4096 {
				flood = append(flood, stranger(s, netip.AddrPortFrom(netip.MustParseAddr(source(i)), 4500).String()))
			}
			for range 24 {
				for _, c := range flood {
					c.Deliver(dataplane.Note{Kind: dataplane.NoteIKE, Data: make([]byte, 2048)})
				}
			}
			held := 0
			for _, c := range flood {
				if !evicted(c) {
					held += strangerCost + max(0, int(c.queued.Load())-allowance)
				}
			}
			if held > defaultMemory/2 || s.budget.used > defaultMemory/2 || s.budget.used < held {
				t.Errorf("%d bytes are held, %d counted, of %d", held, s.budget.used, defaultMemory/2)
			}
			honest := stranger(s, "[2001:db8:7::1]:4500")
			if name != "addresses" && !honest.Deliver(dataplane.Note{Kind: dataplane.NoteIKE, Data: make([]byte, 12<<10)}) {
				t.Error("an honest client's message of 12 KB finds no room")
			}
			if !honest.Deliver(dataplane.Note{Kind: dataplane.NoteIKE, Data: make([]byte, 2<<10)}) {
				t.Error("an honest client's message of 2 KB finds no room")
			}
			for _, c := range append(flood, honest) {
				s.forget(c)
			}
			if s.budget.used != 0 || len(s.budget.extra) != 0 || s.strangers.Len() != 0 {
				t.Errorf("%d bytes of %d origins remain", s.budget.used, len(s.budget.extra))
			}
		})
	}
}

// Message 1, which a connection keeps until its user comes, counts against the budget. A
// message too long to be learnt is not kept.
func TestTheFirstMessageCounts(t *testing.T) {
	for _, v := range []struct{ first, waits, extra int }{
		{500, 400, 0}, {allowance, 0, 0}, {3000, 3000, 6000 - allowance}, {halfopen.MaxLearnt, 2000, halfopen.MaxLearnt + 2000 - allowance}, {12 << 10, 400, 0},
	} {
		s := New(Config{Policy: &Policy{HalfOpen: 8, HalfOpenPerSource: 8, StrangerMemory: 1 << 20}})
		c := stranger(s, "198.51.100.1:4500")
		c.beginWith(make([]byte, v.first))
		if v.waits > 0 && !c.Deliver(dataplane.Note{Kind: dataplane.NoteIKE, Data: make([]byte, v.waits)}) {
			t.Errorf("%+v: the message is refused", v)
		}
		if c.holding.extra != v.extra {
			t.Errorf("%+v: %d bytes are counted beyond what each may have", v, c.holding.extra)
		}
		if len(c.began) > halfopen.MaxLearnt {
			t.Errorf("%+v: %d bytes are kept", v, len(c.began))
		}
	}
}
