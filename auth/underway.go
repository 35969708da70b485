package auth

import "time"

// Attempts under way are those that the backend has not answered, and exchanges that have not
// ended. Each could be wrong, so only as many of a name, of a source, and of a name from a
// source, are under way at once as may be wrong before anybody waits. Further ones wait for
// answers, first come first served: a right one lets the next attempt through, a wrong one
// counts as ever. Who has waited in vain for longestWait takes a place as if all that is under
// way had failed: a backend that does not answer for some names keeps no others out.
//
// Where more have failed than cost nothing, attempts are spaced by time already, and wait for
// no answers.
const (
	atOnceOfPair   = freeOfPair
	atOnceOfName   = freeOfName
	atOnceOfSource = maxOfSource // people behind one NAT, who all come when the server has started
	atOnceOfKnown  = 32          // the devices of a user, or the users of an anonymous name of EAP, likewise
)

// limited is a counter, and the limits of it that an attempt is under.
type limited struct {
	*counter
	free, atOnce float64
}

// concerned are the counters that count an attempt while it is under way.
func (b *backoff) concerned(now time.Time, p pair) []limited {
	if k := b.right[p]; k != nil {
		return []limited{{&k.counter, freeOfPair, atOnceOfKnown}}
	}
	return []limited{
		{b.pairs.get(now, p), freeOfPair, atOnceOfPair},
		{b.names.get(now, pair{name: p.name}), freeOfName, atOnceOfName},
		{b.sources.get(now, pair{source: p.source}), freeOfSource, atOnceOfSource},
	}
}

// room reports whether an attempt need not wait for answers to others.
func (b *backoff) room(now time.Time, p pair) bool {
	for _, c := range b.concerned(now, p) {
		left := c.left(now)
		if left < c.free-0.5 && c.underway > 0 && left+float64(c.underway) > c.atOnce-0.5 {
			return false
		}
	}
	return true
}

// begin counts an attempt as under way.
func (at *place) begin(now time.Time, b *backoff, p pair) {
	for _, c := range b.concerned(now, p) {
		c.underway++
		at.asked = append(at.asked, c.counter)
	}
}

// end says that the backend has answered, or will not.
func (at *place) end() {
	for _, c := range at.asked {
		c.underway--
	}
	at.asked = nil
}

// count is how many failures of c count for the attempt.
func (at *place) count(now time.Time, c *counter) float64 {
	n := c.left(now)
	if at.late {
		n += float64(c.underway)
	}
	return n
}
