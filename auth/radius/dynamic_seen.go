package radius

import (
	"fmt"
	"maps"
	"time"
)

// answerID is what repeats of a request have in common (RFC 5080, section 2.2.2).
type answerID struct {
	source        string
	identifier    byte
	authenticator [16]byte
}

const (
	answerLife = 30 * time.Second
	maxAnswers = 1024 // all of them are authentic
)

// given are the answers to recent requests, for requests that come again because their answer
// was lost.
type given struct {
	of    map[answerID]*answer
	order []*answer // the oldest first
}

type answer struct {
	id    answerID
	at    time.Time
	bytes []byte // nil: it is not there yet
}

// begin reports whether a request has come before, and what was answered.
func (s *given) begin(now time.Time, id answerID) (bytes []byte, again bool) {
	for len(s.order) > 0 && (len(s.order) >= maxAnswers || now.Sub(s.order[0].at) > answerLife) {
		delete(s.of, s.order[0].id)
		s.order[0] = nil
		s.order = s.order[1:]
	}
	if a := s.of[id]; a != nil {
		return a.bytes, true
	}
	if s.of == nil {
		s.of = map[answerID]*answer{}
	}
	a := &answer{id: id, at: now}
	s.of[id] = a
	s.order = append(s.order, a)
	return nil, false
}

// end keeps an answer.
func (s *given) end(id answerID, bytes []byte) {
	if a := s.of[id]; a != nil {
		a.bytes = bytes
	}
}

// dynamicDrop is why a datagram is not answered.
type dynamicDrop uint8

const (
	dynamicMalformed dynamicDrop = iota + 1
	dynamicCode                  // neither CoA-Request nor Disconnect-Request
	dynamicSource                // nobody there may ask
	dynamicForged                // the secret is another one
	dynamicUnsigned
	dynamicStale
	dynamicBusy
	dynamicDrops
)

func (d dynamicDrop) String() string {
	return [...]string{"", "malformed", "code", "source", "forged", "unsigned", "stale", "busy"}[d]
}

// dynamicCounts are what has come.
type dynamicCounts struct {
	dropped [dynamicDrops]uint64
	repeats uint64
	results map[[2]string]uint64 // by what was asked for, and the Error-Cause
}

func (c *dynamicCounts) answered(what string, no *refused) {
	if c.results == nil {
		c.results = map[[2]string]uint64{}
	}
	result := "done"
	if no != nil {
		result = fmt.Sprint(uint32(no.cause))
	}
	c.results[[2]string{what, result}]++
}

// drop counts a datagram that is not answered.
func (d *Dynamic) drop(why dynamicDrop) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.dropped[why]++
	return nil
}

// DynamicStats is what has come so far.
type DynamicStats struct {
	Dropped map[string]uint64    // by reason
	Results map[[2]string]uint64 // by what was asked for, and "done" or the Error-Cause
	Repeats uint64
}

// Stats says what has come so far.
func (d *Dynamic) Stats() DynamicStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := DynamicStats{Dropped: map[string]uint64{}, Results: maps.Clone(d.count.results), Repeats: d.count.repeats}
	for why := dynamicMalformed; why < dynamicDrops; why++ {
		st.Dropped[why.String()] = d.count.dropped[why]
	}
	return st
}
