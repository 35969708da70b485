package auth

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// backoff says how long an attempt to authenticate waits, by what has failed lately: of
// the same user name from the same source, of that name from anywhere, of that source,
// and of everybody. Each attempt takes a place in the queues that concern it, so that
// many at once gain nothing. It is plain state: time is a parameter.
//
// Nobody is locked out. A name that has been right from a source before has a queue of
// its own there, so that its user waits little while somebody guesses behind the same
// NAT. Of a name that others guess, sources that have not been wrong lately have a queue
// of their own, so that its user waits little anywhere else. An attempt that was right
// gives its place back. Without failures an attempt waits at most for answers to others:
// see underway.go.
type backoff struct {
	pairs, names, sources counters
	firsts                counters // of a name's attempts, those from sources that few have failed from
	sum                   counter
	again, users          counters        // attempts of connections that had made one, and whose
	right                 map[pair]*known // names that have been right there
}

type pair struct {
	name   string
	source netip.Prefix
}

// counter counts failures, or attempts, of which half are forgotten in failureLife.
type counter struct {
	failures float64
	at       time.Time
	next     time.Time // when the last attempt that waits may be made
	underway int       // attempts that the backend has not answered
}

type counters map[pair]*counter

// known is a name that has been right from a source, and the failures since then.
type known struct {
	counter
	last time.Time
}

// place is what an attempt has taken in the queues that concern it.
type place struct {
	wait  time.Duration
	taken []share
	late  bool       // it has waited for answers in vain: what is under way counts as failed
	full  Queue      // it has no more places: the attempt goes with others, at its end
	asked []*counter // which count it as under way
}

// share is how much longer the next one in a queue waits for it.
type share struct {
	of  *counter
	gap time.Duration
}

const (
	failureLife = 2 * time.Minute
	// longestWait is less than clients wait for a verdict.
	longestWait = 10 * time.Second
	// maxFailures bounds each of the tables.
	maxFailures = 1 << 14
)

// How many failures cost nothing, and how long each attempt after them waits. People
// mistype, and several of them may be behind one NAT.
const (
	freeOfPair, freeOfName, freeOfSource, freeInSum = 3, 20, 20, 200

	gapOfPair   = time.Second // doubled with each failure
	gapOfName   = 500 * time.Millisecond
	gapOfFirst  = 250 * time.Millisecond // of a name, from a source that has been wrong less than freeOfPair times
	gapOfSource = 150 * time.Millisecond
	gapInSum    = 20 * time.Millisecond
	// gapOfKnown is short: the user waits in the same queue as anybody who guesses that name
	// from there.
	gapOfKnown = 50 * time.Millisecond
)

// For connections that have made an attempt before: a peer that has a password can
// restart PPP, or its tunnel, hundreds of times a second. Each time would cost a request
// to the backend, an address and two accounting records.
const (
	freeAgain, freeAgainOfUser = 5, 10

	gapAgain       = time.Second
	gapAgainOfUser = 500 * time.Millisecond
)

// SourceOf is what counts as one source: an IPv4 address or an IPv6 /48.
func SourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits) // of no address the zero one
	return p
}

func pairOf(name string, from netip.Addr) pair { return pair{folded(name), SourceOf(from)} }

// folded is what counts as one user's name, however it is typed: a domain in front, which
// Windows sends, may be anything.
func folded(name string) string { return strings.ToLower(BareName(name)) }

// SameUser reports whether two names count as one user's where guessing is slowed down.
func SameUser(a, b string) bool { return folded(a) == folded(b) }

// wait takes a place for an attempt, which says how long it waits. It is false if too
// many of its source wait already.
func (b *backoff) wait(now time.Time, p pair) (place, bool) { return b.waitFor(now, p, false) }

func (b *backoff) waitFor(now time.Time, p pair, late bool) (at place, ok bool) {
	at.late = late
	if k := b.right[p]; k != nil {
		if k.next.Sub(now) > longestWait-gapOfKnown {
			at.full = OfUser
			return at, false
		}
		at.takeOver(now, OfUser, &k.counter, freeOfPair, gapOfKnown)
		return at, true
	}
	of := b.pairs.get(now, p)
	gap := time.Duration(0)
	if over := at.count(now, of) - freeOfPair; over > -0.5 {
		gap = time.Duration(float64(gapOfPair) * math.Exp2(min(over, 3)))
	}
	source := b.sources.get(now, pair{source: p.source})
	if at.count(now, source) > freeOfSource-0.5 && source.next.Sub(now) > longestWait-gapOfSource {
		at.full = OfSource
		return at, false
	}
	at.take(now, OfUser, of, gap)
	at.takeOver(now, OfSource, source, freeOfSource, gapOfSource)
	name := b.names.get(now, pair{name: p.name})
	if guessed := at.count(now, name) >= freeOfName-0.5; guessed && gap == 0 {
		at.take(now, OfUser, b.firsts.get(now, pair{name: p.name}), gapOfFirst)
	} else if guessed {
		at.take(now, OfUser, name, gapOfName)
	}
	at.takeOver(now, InSum, &b.sum, freeInSum, gapInSum)
	return at, true
}

// leave gives a place back: the client has gone before its attempt was made, or was right,
// and later attempts do not wait for it. Otherwise clients that come and go would fill the
// queues.
func (at place) leave() {
	for _, s := range at.taken {
		s.of.next = s.of.next.Add(-s.gap)
	}
}

// waitAgain takes a place for an attempt of a connection that has made one before, right
// or wrong. It is false if too many of the user's wait already.
func (b *backoff) waitAgain(now time.Time, connection uint32, name string) (at place, ok bool) {
	of := b.again.get(now, pair{name: strconv.FormatUint(uint64(connection), 10)})
	user := b.users.get(now, pair{name: folded(name)})
	if user.next.Sub(now) > longestWait-gapAgainOfUser {
		at.full = OfAgain
		return at, false
	}
	at.takeOver(now, OfAgain, of, freeAgain, gapAgain)
	at.takeOver(now, OfAgain, user, freeAgainOfUser, gapAgainOfUser)
	of.failures, of.at = of.left(now)+1, now
	return at, true
}

// succeededAgain counts an attempt of a connection that had made one before, and was
// accepted now: wrong guesses slow nobody else down.
func (b *backoff) succeededAgain(now time.Time, name string) {
	c := b.users.get(now, pair{name: folded(name)})
	c.failures, c.at = c.left(now)+1, now
}

// failed counts an attempt that was refused.
func (b *backoff) failed(now time.Time, p pair) {
	for _, c := range []*counter{b.pairs.get(now, p), b.names.get(now, pair{name: p.name}), b.sources.get(now, pair{source: p.source}), &b.sum} {
		c.failures, c.at = c.left(now)+1, now
	}
	if k := b.right[p]; k != nil {
		k.failures, k.at = k.left(now)+1, now
	}
}

// succeeded forgets what failed of the name from there.
func (b *backoff) succeeded(now time.Time, p pair) {
	delete(b.pairs, p)
	if k := b.right[p]; k != nil {
		k.failures, k.last = 0, now
		return
	}
	if b.right == nil {
		b.right = map[pair]*known{}
	}
	if len(b.right) >= maxFailures {
		oldest := p
		for q, k := range b.right {
			if oldest == p || k.last.Before(b.right[oldest].last) {
				oldest = q
			}
		}
		delete(b.right, oldest)
	}
	b.right[p] = &known{last: now}
}

// left is how many failures still count.
func (c *counter) left(now time.Time) float64 {
	return c.failures * math.Exp2(-max(0, float64(now.Sub(c.at)))/float64(failureLife))
}

// take takes the place after the last one that waits for c, at most longestWait from now.
func (at *place) take(now time.Time, q Queue, c *counter, gap time.Duration) {
	if gap == 0 {
		return
	}
	if c.next.Before(now) {
		c.next = now
	}
	if room := max(0, now.Add(longestWait).Sub(c.next)); gap > room {
		gap, at.full = room, q
	}
	c.next = c.next.Add(gap)
	at.taken = append(at.taken, share{c, gap})
	at.wait = max(at.wait, c.next.Sub(now))
}

// takeOver takes a place if more attempts have failed than cost nothing.
func (at *place) takeOver(now time.Time, q Queue, c *counter, free float64, gap time.Duration) {
	if at.count(now, c) >= free-0.5 {
		at.take(now, q, c, gap)
	}
}

// get returns a counter. A full table forgets counters that have run out, or else the one
// with the fewest failures.
func (t *counters) get(now time.Time, p pair) *counter {
	if *t == nil {
		*t = counters{}
	}
	if c := (*t)[p]; c != nil {
		return c
	}
	if len(*t) >= maxFailures {
		t.shrink(now)
	}
	c := &counter{at: now}
	(*t)[p] = c
	return c
}

func (t *counters) shrink(now time.Time) {
	least, found := pair{}, false
	for p, c := range *t {
		switch {
		case c.left(now) < 0.5 && !c.next.After(now) && c.underway == 0:
			delete(*t, p)
		case !found || c.left(now) < (*t)[least].left(now):
			least, found = p, true
		}
	}
	if len(*t) >= maxFailures {
		delete(*t, least)
	}
}
