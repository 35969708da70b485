package radius

import (
	"container/heap"
	"time"
)

// answerID is what repeats of a request have in common. The authenticator is a digest of all of
// the request and the secret, so requests that share it are one.
//
// Deviation: RFC 5080, section 2.2.2 takes the source's address and port in. The authenticator
// does not cover these: with them in, a recorded request would be another one from another port,
// or from another address that has the same secret.
type answerID struct {
	identifier    byte
	authenticator [16]byte
}

const (
	// answerLife is how long an answer is kept for those who did not get it.
	answerLife = 30 * time.Second
	// maxAnswerBytes bounds the answers that are kept. Most have some 100 bytes.
	maxAnswerBytes = 4 << 20
	// maxRequests bounds the requests that are remembered, all of them authentic: 200 a second
	// for the 5 minutes for which they could be sent again. They take 13 MB, and the answers more.
	maxRequests = 1 << 16
)

// given are the requests that would be believed if they came again, and the answers to the
// latest, for those that come again because their answer was lost.
type given struct {
	of       map[answerID]*answer
	aging    ages
	answered []*answer // those whose bytes are kept, the oldest first
	size     int       // of these bytes
}

type answer struct {
	id    answerID
	until time.Time // it is believed no longer after that
	done  time.Time // zero: it is worked on
	bytes []byte    // nil: there is none, or none any more
}

// turn is what becomes of a request.
type turn uint8

const (
	turnFirst   turn = iota + 1 // it is to be done
	turnAgain                   // its repeat; with the answer, unless that is still to come
	turnForgone                 // its repeat, whose answer is kept no longer
	turnFull                    // there is no room to remember it: it must not be done
)

// begin says whether a request, which is believed until some time, has come before, and what was
// answered. None is forgotten to make room for another: it could be sent again, and be done.
func (s *given) begin(now, until time.Time, id answerID) ([]byte, turn) {
	s.expire(now)
	switch a := s.of[id]; {
	case a != nil && a.bytes == nil && !a.done.IsZero():
		return nil, turnForgone
	case a != nil:
		return a.bytes, turnAgain
	case len(s.of) >= maxRequests:
		return nil, turnFull
	}
	if s.of == nil {
		s.of = map[answerID]*answer{}
	}
	a := &answer{id: id, until: until.Round(0)} // by the wall clock, as Event-Timestamps are
	s.of[id] = a
	heap.Push(&s.aging, a)
	return nil, turnFirst
}

// expire forgets requests that are believed no longer, and answers that nobody waits for.
func (s *given) expire(now time.Time) {
	for len(s.aging) > 0 && now.After(s.aging[0].until) {
		a := heap.Pop(&s.aging).(*answer)
		delete(s.of, a.id)
	}
	for len(s.answered) > 0 && (s.size > maxAnswerBytes || now.Sub(s.answered[0].done) >= answerLife) {
		a := s.answered[0]
		s.size -= len(a.bytes)
		a.bytes = nil
		s.answered[0] = nil
		s.answered = s.answered[1:]
	}
}

// end keeps an answer; nil: there is none.
func (s *given) end(now time.Time, id answerID, bytes []byte) {
	a := s.of[id]
	if a == nil {
		return
	}
	if a.done = now; bytes != nil {
		a.bytes = bytes
		s.answered = append(s.answered, a)
		s.size += len(bytes)
		s.expire(now)
	}
}

// ages are requests, the one that is forgotten next first.
type ages []*answer

func (h ages) Len() int           { return len(h) }
func (h ages) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h ages) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *ages) Push(x any) { *h = append(*h, x.(*answer)) }

// Pop implements heap.Interface.
func (h *ages) Pop() any {
	n := len(*h) - 1
	a := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return a
}
