package ike

import (
	"crypto/sha256"
	"time"
)

// retry says when an unanswered message is sent again. The wait doubles each time.
type retry struct {
	At   time.Time
	Wait time.Duration
	Left int
}

// startRetry begins waiting for the answer to a message that was just sent.
func startRetry(now time.Time, wait time.Duration, times int) retry {
	return retry{now.Add(wait), wait, times}
}

func (r *retry) due(now time.Time) bool { return !r.At.IsZero() && !now.Before(r.At) }

// again is called when the time has come. It returns false if it is time to give
// up.
func (r *retry) again(now time.Time) bool {
	if r.Left == 0 {
		return false
	}
	r.Left--
	r.Wait *= 2
	r.At = now.Add(r.Wait)
	return true
}

// reply is the answer to one request. It answers duplicates of that request, and
// nothing else, a bounded number of times.
type reply struct {
	Request [sha256.Size]byte
	Data    []byte // nil: there was no answer
	Left    int
}

func newReply(request, data []byte) reply {
	return reply{sha256.Sum256(request), data, maxRepeats}
}

// is reports whether msg is a copy of the request that was answered.
func (r *reply) is(msg []byte) bool {
	return r.Data != nil && sha256.Sum256(msg) == r.Request
}

// take returns the answer once more, nil if it was given often enough.
func (r *reply) take() []byte {
	if r.Left == 0 {
		return nil
	}
	r.Left--
	return r.Data
}
