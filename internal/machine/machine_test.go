package machine

import (
	"testing"
	"time"
)

func TestQueueKeepsOrderAndReleasesWhatItHandedOut(t *testing.T) {
	var q Queue[*int]
	one, two := 1, 2
	q.Push(&one)
	q.Push(&two)
	if got, ok := q.Pop(); !ok || got != &one {
		t.Fatalf("first Pop = %v, %v; want the oldest event", got, ok)
	}
	if q.events[0] != nil {
		t.Error("a popped event is still referenced by the queue")
	}
	if q.Len() != 1 {
		t.Errorf("Len = %d, want 1", q.Len())
	}
	if got, ok := q.Pop(); !ok || got != &two {
		t.Fatalf("second Pop = %v, %v", got, ok)
	}
	if _, ok := q.Pop(); ok {
		t.Error("an empty queue returned an event")
	}
}

func TestEarliestIgnoresUnsetDeadlines(t *testing.T) {
	now := time.Unix(1000, 0)
	if got := Earliest(time.Time{}, now.Add(2), now, time.Time{}); !got.Equal(now) {
		t.Errorf("Earliest = %v, want %v", got, now)
	}
	if got := Earliest(time.Time{}, time.Time{}); !got.IsZero() {
		t.Errorf("Earliest of nothing = %v, want the zero time", got)
	}
}
