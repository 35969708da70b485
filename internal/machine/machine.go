// Package machine is the contract that every protocol machine of adit keeps.
//
// A machine is a pure function of its inputs and of the time that its driver
// passes in: no goroutine, no lock, no socket, no clock and no global
// randomness. A driver hands it packets and orders, drains its events after
// every call, and calls HandleTimer when its deadline has come.
package machine

import "time"

// Machine is what drivers treat alike. Each machine adds its own typed
// HandlePacket, its orders, and a Close(now, Reason).
//
// A Machine is not safe for concurrent use: one goroutine owns it.
type Machine[E any] interface {
	// HandleTimer does what is due at now. Calling it early is harmless.
	HandleTimer(now time.Time)

	// Deadline is when HandleTimer is next needed; the zero time means never.
	Deadline() time.Time

	// NextEvent returns the next pending event, oldest first. Drain it after
	// every call into the machine: slices in an event are valid until the
	// next call other than NextEvent.
	NextEvent() (E, bool)
}

// Queue is a first-in, first-out queue of pending events. The zero value is
// empty and ready to use.
type Queue[E any] struct {
	events []E
	head   int
}

// Push appends an event.
func (q *Queue[E]) Push(e E) { q.events = append(q.events, e) }

// Pop removes and returns the oldest event.
func (q *Queue[E]) Pop() (E, bool) {
	var zero E
	if q.head == len(q.events) {
		q.events, q.head = q.events[:0], 0
		return zero, false
	}
	e := q.events[q.head]
	q.events[q.head] = zero // drop references: an event may hold a packet
	q.head++
	return e, true
}

// Len is the number of events that wait.
func (q *Queue[E]) Len() int { return len(q.events) - q.head }

// Earliest returns the earliest of the deadlines that are set, and the zero
// time if none is.
func Earliest(deadlines ...time.Time) time.Time {
	var first time.Time
	for _, d := range deadlines {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}
