package auth

import "time"

// Queue names what an attempt may wait for, or find full.
type Queue uint8

const (
	NoQueue  Queue = iota
	OfSource       // of one address, or IPv6 /48, whatever the name
	OfUser         // of one name, from one source or from anywhere
	InSum          // of everybody
	OfAgain        // of connections, and users, that authenticate again and again
	queues
)

func (q Queue) String() string {
	return [...]string{"", "source", "user", "sum", "again"}[q]
}

// Guarded is what a guard has done, and does.
type Guarded struct {
	Waiting int              // attempts that wait now
	Refused map[Queue]uint64 // attempts that were not made, by whose queue was full
	Slowed  map[Queue]int    // how many sources, and names, wait now for what has failed of them
}

// Stats says what the guard has done, and does.
func (g *Guard) Stats() Guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := Guarded{Waiting: g.waiting + len(g.behind), Refused: map[Queue]uint64{}}
	for q := OfSource; q < queues; q++ {
		st.Refused[q] = g.refused[q]
	}
	st.Slowed = g.backoff.slowed(time.Now())
	return st
}

// slowed counts the sources whose next attempt waits, and the names for which one does, from at
// least one source.
func (b *backoff) slowed(now time.Time) map[Queue]int {
	sources, names := 0, map[string]bool{}
	for _, c := range b.sources {
		if c.over(now, freeOfSource) {
			sources++
		}
	}
	for p, c := range b.names {
		if c.over(now, freeOfName) {
			names[p.name] = true
		}
	}
	for p, c := range b.pairs {
		if c.over(now, freeOfPair) {
			names[p.name] = true
		}
	}
	for p, k := range b.right {
		if k.over(now, freeOfPair) {
			names[p.name] = true
		}
	}
	sum := 0
	if b.sum.over(now, freeInSum) {
		sum = 1
	}
	return map[Queue]int{OfSource: sources, OfUser: len(names), InSum: sum}
}

// over reports whether more has failed than costs nothing.
func (c *counter) over(now time.Time, free float64) bool { return c.left(now) >= free-0.5 }
