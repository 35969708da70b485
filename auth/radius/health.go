package radius

import "time"

// State is what is known of a server's service.
type State uint8

// The states. A service begins as Unasked, and everything else follows from what it is sent
// and what is heard of it.
const (
	Unasked State = iota // nothing has been sent yet
	Up                   // it has answered
	Suspect              // a request waits, a probe went out, and nothing was heard since
	Down                 // it keeps silent, or is not there: others are asked before it
	Probing              // it was down, and a probe waits for its answer
)

func (s State) String() string {
	switch s {
	case Unasked:
		return "not asked yet"
	case Up:
		return "up"
	case Suspect:
		return "suspect"
	case Down:
		return "down"
	case Probing:
		return "probing"
	}
	return "unknown"
}

// Health's times. A login survives a first server that is dead in three seconds: silence
// plus the time of the next server. A server that lives has time to show it meanwhile: a
// FreeRADIUS that delays its rejects answers a probe within a second.
const (
	suspectAfter = time.Second             // of silence while a request waits: is it there?
	probeAgain   = 750 * time.Millisecond  // a probe may be lost
	silence      = 2500 * time.Millisecond // the next server is asked
	recheck      = 8 * time.Second         // a request waits, and the server was heard: does it still live?
	recheckTime  = 2 * time.Second         // for the answer to that
	probeAfter   = 4 * time.Second         // from going down to the first probe
	probeEvery   = 8 * time.Second         // between later ones, besides
	probeTime    = 2 * time.Second         // for the answer
)

// probes say what finds out whether a server lives.
type probes uint8

const (
	// byStatus is a Status-Server (RFC 5997).
	byStatus probes = 1 << iota
	// byLogin is an Access-Request for a user whom nobody has, for servers that do not know
	// Status-Server, as NPS.
	byLogin
	// byRequest lets the next real request try: nothing else finds out whether an accounting
	// service lives that does not know Status-Server.
	byRequest
)

// health judges one service by what it is sent and what is heard of it. It is a machine:
// time is a parameter, and whoever drives it calls timer at deadline and sends the probes
// that it returns.
//
// Only silence since the server was last heard counts, whichever request was sent and
// however it ended: an attempt that its own client breaks off leaves the same question
// behind. A server that lives is not suspected because it takes its time for a user, who
// may have to look for a telephone.
type health struct {
	accounting bool // the service takes no logins
	state      State
	since      time.Time // when the state began
	heard      time.Time // when it last answered; zero: never
	asked      time.Time // the first request since then; zero: none
	waiting    int       // requests that wait for an answer
	at         time.Time // of the next step
	tries      int       // probes sent in this state, or since it went down
	status     bool      // it has answered a Status-Server: it needs no other probe
	trial      bool      // the next real request may try it
	why        error     // why it is down
}

// away reports whether others are asked before this one.
func (h *health) away() bool { return h.state == Down || h.state == Probing }

func (h *health) become(now time.Time, s State) {
	if h.state != s {
		h.state, h.since = s, now
	}
}

// sent says that a new request goes out, which will wait. Its repeats are not told.
func (h *health) sent(now time.Time) {
	h.waiting++
	h.trial = false
	if h.away() || h.state == Suspect {
		return
	}
	if h.asked.IsZero() {
		h.asked, h.at = now, now.Add(suspectAfter)
	}
}

// ended says that a request waits no longer, whether it was answered or not.
func (h *health) ended() {
	h.waiting--
	if h.waiting == 0 && h.asked.IsZero() && !h.away() {
		h.at = time.Time{}
	}
}

// answered says that the server was heard: it answered a request, perhaps one that nobody
// waits for any more, or a probe.
func (h *health) answered(now time.Time, status bool) {
	h.become(now, Up)
	h.heard, h.asked, h.at, h.tries, h.trial, h.why = now, time.Time{}, time.Time{}, 0, false, nil
	h.status = h.status || status
	if h.waiting > 0 {
		h.at = now.Add(recheck)
	}
}

// failed says that the server cannot be reached: the network says so, as by ICMP, or a
// connection to it has failed.
func (h *health) failed(now time.Time, why error) {
	h.why = why
	if !h.away() {
		h.fall(now)
	}
}

func (h *health) fall(now time.Time) {
	h.become(now, Down)
	h.asked, h.at, h.tries = time.Time{}, now.Add(probeAfter), 0
}

// deadline is when timer is to be called; zero: not at all.
func (h *health) deadline() time.Time { return h.at }

// timer goes on at the deadline, and says what to probe by.
func (h *health) timer(now time.Time) probes {
	if h.at.IsZero() || now.Before(h.at) {
		return 0
	}
	switch h.state {
	case Unasked, Up:
		h.become(now, Suspect)
		h.tries = 1
		if h.asked.IsZero() { // the request that waits is an old one
			h.asked = now.Add(recheckTime - silence)
		}
		h.at = now.Add(probeAgain)
		return h.every()
	case Suspect:
		end := h.asked.Add(silence)
		if now.Before(end) {
			h.tries++
			h.at = end
			return h.every()
		}
		h.fall(now)
	case Down:
		h.become(now, Probing)
		h.at = now.Add(probeTime)
		h.tries++
		return h.next()
	case Probing:
		h.become(now, Down)
		h.at = now.Add(probeEvery)
	}
	return 0
}

// every is each probe that could show life while a request waits: there is no time to try
// one after the other.
func (h *health) every() probes {
	if h.status || h.accounting {
		return byStatus
	}
	return byStatus | byLogin
}

// next is the next probe of a server that is down: by turns, if it is not known to
// understand Status-Server.
func (h *health) next() probes {
	switch {
	case h.status || h.tries%2 == 1:
		return byStatus
	case h.accounting:
		h.trial = true
		return byRequest
	}
	return byLogin
}
