package radius

import (
	"errors"
	"time"

	"layeh.com/radius"
)

// Event is a change that an administrator should know of: a server is given up, or answers
// again.
type Event struct {
	Server, Service string
	Up              bool
	Why             error // if it is not up
}

// drop is why a packet from a server is not believed.
type drop uint8

const (
	dropForeign drop = iota + 1 // it answers nothing that was asked
	dropLate
	dropDuplicate
	dropMalformed
	dropForged
	dropUnsigned
	drops
)

func (d drop) String() string {
	return [...]string{"", "foreign", "late", "duplicate", "malformed", "forged", "unsigned"}[d]
}

// dropOf is the reason for which verify refuses a packet; 0: none.
func dropOf(err error) drop {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrUnsigned):
		return dropUnsigned
	case errors.Is(err, ErrForged):
		return dropForged
	case errors.Is(err, errNotOurs):
		return dropForeign
	}
	return dropMalformed
}

// results are how requests ended.
var results = [...]string{"accept", "reject", "challenge", "accounted", "no answer", "refused", "unusable", "cancelled"}

const (
	resultAccept = iota
	resultReject
	resultChallenge
	resultAccounted
	resultSilent   // nothing came
	resultRefused  // the network says that nobody is there
	resultUnusable // a reply came that cannot be believed or read
	resultCancelled
)

// Buckets are the upper bounds of a service's histogram of latencies, seconds.
var Buckets = [...]float64{0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60}

// counts are what a service has seen.
type counts struct {
	results [len(results)]uint64
	dropped [drops]uint64
	repeats uint64
	latency [len(Buckets)]uint64 // answers within each bound
	answers uint64
	seconds float64
}

// heard counts an answer. Those to probes say nothing of what users wait for.
func (c *counts) heard(after time.Duration, p *pending) {
	if p.probe {
		return
	}
	c.answers++
	c.seconds += after.Seconds()
	for i, bound := range Buckets {
		if after.Seconds() <= bound {
			c.latency[i]++
		}
	}
}

// resultOf sorts how a request ended.
func resultOf(reply *radius.Packet, err error, cancelled bool) int {
	switch {
	case err == nil && reply.Code == radius.CodeAccessAccept:
		return resultAccept
	case err == nil && reply.Code == radius.CodeAccessReject:
		return resultReject
	case err == nil && reply.Code == radius.CodeAccessChallenge:
		return resultChallenge
	case err == nil:
		return resultAccounted
	case ofServer(err) || errors.Is(err, ErrForged):
		return resultUnusable
	case cancelled:
		return resultCancelled
	case refusal(err):
		return resultRefused
	}
	return resultSilent
}

// ServiceStatus is the state of one service of a server, and what it has seen.
type ServiceStatus struct {
	Server  string // its address
	Service string // authentication or accounting
	TLS     bool
	State   State
	Since   time.Time // of the state; zero: not asked yet
	Heard   time.Time // when it last answered; zero: never
	Why     error     // why it is down
	Waiting int       // requests that wait for it now

	Results  map[string]uint64 // requests, by how they ended
	Dropped  map[string]uint64 // packets, by reason
	Repeats  uint64            // of requests
	Latency  map[float64]uint64
	Answers  uint64
	Duration float64 // of all answers, seconds
}

func (s *service) status() ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := ServiceStatus{
		Server: s.address, Service: s.kind.String(), TLS: s.tls != "", State: s.health.state, Since: s.health.since, Heard: s.health.heard,
		Waiting: s.health.waiting, Repeats: s.count.repeats, Answers: s.count.answers, Duration: s.count.seconds,
		Results: map[string]uint64{}, Dropped: map[string]uint64{}, Latency: map[float64]uint64{},
	}
	if s.health.away() {
		st.Why = s.why()
	}
	for i, n := range s.count.results {
		st.Results[results[i]] = n
	}
	for d := dropForeign; d < drops; d++ {
		st.Dropped[d.String()] = s.count.dropped[d]
	}
	for i, bound := range Buckets {
		st.Latency[bound] = s.count.latency[i]
	}
	return st
}

// Status says of each service that the configuration names how it is.
func (c *Client) Status() []ServiceStatus {
	var list []ServiceStatus
	for _, s := range c.set.Load().services() {
		list = append(list, s.status())
	}
	return list
}

// Answers reports whether any server can authenticate, as far as is known.
func (c *Client) Answers() bool {
	for _, srv := range c.set.Load().servers {
		if s := srv.auth; s != nil {
			if away, _ := s.away(); !away {
				return true
			}
		}
	}
	return false
}
