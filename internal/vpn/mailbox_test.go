package vpn

import (
	"reflect"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
)

// Most connections are idle, so an empty mailbox holds no memory. Orders are never lost,
// however many wait, and notes are once there are inboxSize of them.
func TestAMailboxHoldsOnlyWhatWaits(t *testing.T) {
	s := New(Config{Policy: &Policy{HalfOpen: 1, HalfOpenPerSource: 1}})
	c := stranger(s, "198.51.100.1:4500")
	const many = 3 * inboxSize
	ran := 0
	for i := range many {
		c.do(func(time.Time) {
			if ran != i {
				t.Errorf("order %d runs after %d others", i, ran)
			}
			ran++
		})
		if fits := i < inboxSize; c.Deliver(dataplane.Note{Kind: dataplane.NoteFirstUse, SPI: uint32(i)}) != fits {
			t.Errorf("note %d: taken %v, want %v", i, !fits, fits)
		}
	}
	for f, ok := c.takeOrder(); ok; f, ok = c.takeOrder() {
		f(time.Time{})
	}
	if ran != many {
		t.Errorf("%d of %d orders ran", ran, many)
	}
	for i := range inboxSize {
		if n, ok := c.takeNote(); !ok || n.SPI != uint32(i) {
			t.Errorf("note %d: %d, %v", i, n.SPI, ok)
		}
	}
	if !reflect.ValueOf(c.inbox).IsZero() || !reflect.ValueOf(c.orders).IsZero() {
		t.Error("an empty mailbox holds memory")
	}
}
