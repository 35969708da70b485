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
	if q.events != nil {
		t.Error("an empty queue holds memory")
	}
}

// A queue in which something always waits does not grow: what is pushed goes where something
// was popped.
func TestAQueueThatIsNeverEmptyStaysSmall(t *testing.T) {
	var q Queue[int]
	q.Push(0)
	q.Push(1)
	for i := range 1000 {
		q.Push(i + 2)
		if got, ok := q.Pop(); !ok || got != i {
			t.Fatalf("Pop = %d, %v; want %d", got, ok, i)
		}
	}
	if q.Len() != 2 || cap(q.events) > 8 {
		t.Errorf("%d events in room for %d; want 2 in room for a few", q.Len(), cap(q.events))
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

// A driver that freezes a machine too early learns of it at once.
func TestAnEventThatWaitsIsNotLost(t *testing.T) {
	var q Queue[int]
	q.MustBeDrained()
	q.Push(1)
	defer func() {
		if recover() == nil {
			t.Error("a queue with an event is taken for drained")
		}
	}()
	q.MustBeDrained()
}
