package machinetest

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Latency is the least time that a packet takes on a Line.
const Latency = 20 * time.Millisecond

// Line is a simulated line between two machines. It loses, repeats and reorders packets.
// P is the type of what it carries.
type Line[P any] struct {
	T      testing.TB
	Now    time.Time
	Rand   *rand.Rand
	Loss   float64
	Dup    float64
	Jitter time.Duration

	flight []parcel[P]
	posted int
}

// parcel is a packet on its way to one end.
type parcel[P any] struct {
	at   time.Time
	seq  int
	to   int
	what P
}

// NewLine returns a line that loses nothing.
func NewLine[P any](t testing.TB) Line[P] {
	return Line[P]{T: t, Now: Epoch, Rand: rand.New(Rand(7))}
}

// Post puts a packet on the line: it arrives once, twice or never.
func (l *Line[P]) Post(to int, what P) {
	copies := 1
	if l.Rand.Float64() < l.Dup {
		copies = 2
	}
	for range copies {
		if l.Rand.Float64() < l.Loss {
			continue
		}
		after := Latency
		if l.Jitter > 0 {
			after += time.Duration(l.Rand.Int64N(int64(l.Jitter)))
		}
		l.Hand(to, what, after)
	}
}

// Hand delivers a packet once, after the given time.
func (l *Line[P]) Hand(to int, what P, after time.Duration) {
	l.flight = append(l.flight, parcel[P]{at: l.Now.Add(after), seq: l.posted, to: to, what: what})
	l.posted++
}

// Timed is a machine at an end of a line.
type Timed interface {
	HandleTimer(time.Time)
	Deadline() time.Time
}

// Run lets time pass until done returns true, which it reports, or until the limit. It
// calls deliver for each packet that arrives at an end, and collect after every call into
// an end.
func (l *Line[P]) Run(limit time.Duration, ends [2]Timed, deliver func(to int, what P), collect func(end int), done func() bool) bool {
	l.T.Helper()
	until := l.Now.Add(limit)
	for !done() {
		first, next := l.first(), until
		if first >= 0 && l.flight[first].at.Before(next) {
			next = l.flight[first].at
		}
		timer := -1
		for i, m := range ends {
			if d := m.Deadline(); !d.IsZero() && d.Before(next) {
				next, timer = d, i
			}
		}
		if next.After(l.Now) {
			l.Now = next
		}
		switch {
		case timer >= 0:
			ends[timer].HandleTimer(l.Now)
			collect(timer)
			if d := ends[timer].Deadline(); !d.IsZero() && !d.After(l.Now) {
				l.T.Fatalf("deadline %v is not after %v", d, l.Now)
			}
		case first >= 0 && !l.flight[first].at.After(l.Now):
			p := l.flight[first]
			l.flight = append(l.flight[:first], l.flight[first+1:]...)
			deliver(p.to, p.what)
			collect(p.to)
		default:
			return false
		}
	}
	return true
}

// first is the index of what arrives next, or -1 if nothing is on its way.
func (l *Line[P]) first() int {
	best := -1
	for i, p := range l.flight {
		if best < 0 || p.at.Before(l.flight[best].at) || p.at.Equal(l.flight[best].at) && p.seq < l.flight[best].seq {
			best = i
		}
	}
	return best
}
