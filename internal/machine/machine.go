// Package machine is the contract that every protocol machine of adit keeps.
//
// A machine is a pure function of its inputs and of the time that its driver
// passes in: no goroutine, no lock, no socket, no clock and no global
// randomness. A driver hands it packets and orders, drains its events after
// every call, and calls HandleTimer when its deadline has come.
package machine

import (
	"fmt"
	"time"
)

// Machine is what drivers need of every machine. Each machine adds its own typed
// HandlePacket, its commands, and a Close(now, Reason).
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

// Freezer is a machine whose state can be handed to another process. Its package has a
// function Resume that takes the same environment and the bytes that Append appended, and
// makes a machine that continues as this one would.
//
// Append changes nothing. Call it between two calls into the machine, after NextEvent has
// reported that no event is left: a pending event belongs to the call that caused it, and
// Append panics rather than lose it. The environment that the driver gave the machine is
// not part of the state.
//
// The state contains the machine's secrets. Protect the bytes like keys: keep them in
// memory or in a file that nobody else reads, never in a log.
type Freezer interface{ Append(b []byte) []byte }

// Queue is a first-in, first-out queue of pending events. The zero value is
// empty and ready to use. An empty queue holds no memory: most machines wait most of
// the time.
type Queue[E any] struct {
	events []E
	head   int
}

// Push appends an event.
func (q *Queue[E]) Push(e E) {
	if q.head > 0 && len(q.events) == cap(q.events) { // use the room of what was popped
		n := copy(q.events, q.events[q.head:])
		clear(q.events[n:])
		q.events, q.head = q.events[:n], 0
	}
	q.events = append(q.events, e)
}

// Pop removes and returns the oldest event.
func (q *Queue[E]) Pop() (E, bool) {
	var zero E
	if q.head == len(q.events) {
		return zero, false
	}
	e := q.events[q.head]
	q.events[q.head] = zero // drop references: an event may hold a packet
	q.head++
	if q.head == len(q.events) {
		*q = Queue[E]{}
	}
	return e, true
}

// Len is the number of pending events.
func (q *Queue[E]) Len() int { return len(q.events) - q.head }

// MustBeDrained panics if events are pending: freezing the machine would lose them.
func (q *Queue[E]) MustBeDrained() {
	if n := q.Len(); n > 0 {
		panic(fmt.Sprintf("a machine is frozen while %d of its events wait: drain NextEvent first", n))
	}
}

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
