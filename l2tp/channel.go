package l2tp

import "time"

// The reliable channel (RFC 2661, section 5.8 and appendices A and B).
const (
	firstRetransmit = time.Second
	lastRetransmit  = 8 * time.Second // "no less than 8 seconds"
	maxSends        = 8               // of one message: 1+2+4+8+8+8+8+8 seconds
	maxClosingSends = 5               // of anything once we are closing: 23 seconds
	defaultWindow   = 4               // section 4.4.3: "if absent, the peer must assume a value of 4"
	minWindow       = 4
	maxWindow       = 32 // messages that we keep for their turn
	maxQueue        = 64 // messages that wait for the peer's window
)

// channel is one end of a control connection's reliable channel.
type channel struct {
	ns, nr uint16 // next to send, next expected

	queue []outgoing // composed, waiting for the window
	sent  []outgoing // sent, waiting for their acknowledgement, oldest first
	ahead []incoming // received before their turn

	window    int // the peer's receive window
	congested int // the congestion window (appendix A)
	threshold int // slow start's threshold
	credit    int // acknowledgements towards the window's next step

	timer    time.Time     // retransmission, zero when nothing is outstanding
	interval time.Duration // of the timer's next arming
	sends    int           // of the oldest outstanding message
	since    time.Time     // its first transmission

	trips [2]time.Duration // of the two messages that were acknowledged last
}

// outgoing is a message that is on its way.
type outgoing struct {
	ns    uint16
	hello bool
	at    time.Time // when it was first sent
	data  []byte    // with its header, whose Nr is brought up to date
}

// incoming is a message whose predecessors are missing.
type incoming struct {
	ns   uint16
	data []byte
}

// before tells whether sequence number a comes before b (section 5.8: the 32767
// preceding ones are old).
func before(a, b uint16) bool { return int16(a-b) < 0 }

func (c *channel) start() {
	c.congested = 1
	c.setWindow(defaultWindow)
}

// setWindow takes the peer's Receive Window Size. "A value of 0 ... is invalid";
// it is read as 1, which always works.
func (c *channel) setWindow(n int) {
	c.window = max(n, 1)
	c.threshold = c.window
}

// idle tells whether all that was sent is acknowledged.
func (c *channel) idle() bool { return len(c.sent) == 0 && len(c.queue) == 0 }

// plausible tells whether nr acknowledges nothing that was never sent.
func (c *channel) plausible(nr uint16) bool { return !before(c.ns, nr) }

// acknowledge takes a received Nr. It opens the congestion window by one for
// each message up to the threshold, and above it by one for each window full.
func (c *channel) acknowledge(now time.Time, nr uint16) {
	n := 0
	for n < len(c.sent) && before(c.sent[n].ns, nr) {
		n++
		if c.congested < c.threshold {
			c.congested++
		} else if c.credit++; c.credit >= c.congested {
			c.congested, c.credit = min(c.congested+1, c.window), 0
		}
	}
	if n == 0 {
		return
	}
	c.trips[1], c.trips[0] = c.trips[0], max(now.Sub(c.sent[n-1].at), 1) // 0 is what nobody measured
	c.sent = append(c.sent[:0], c.sent[n:]...)
	c.sends, c.interval, c.timer = 1, firstRetransmit, time.Time{}
	if len(c.sent) > 0 {
		c.timer, c.since = now.Add(c.interval), now
	}
}

// roundTrip is the lesser time of the two messages acknowledged last. Of a message
// that was sent several times nobody knows which copy was acknowledged (Karn's
// ambiguity): counted from the first, its time may be too long but is never too
// short. On a slow path, where every message is repeated before its answer can
// come, it is right; on a fast one that loses a message the other of the two is.
func (c *channel) roundTrip() time.Duration {
	if c.trips[1] == 0 {
		return c.trips[0]
	}
	return min(c.trips[0], c.trips[1])
}

// next takes the next message that the windows allow from the queue.
func (c *channel) next(now time.Time) (outgoing, bool) {
	if len(c.queue) == 0 || len(c.sent) >= min(c.window, c.congested) {
		return outgoing{}, false
	}
	m := c.queue[0]
	m.ns, m.at = c.ns, now
	c.queue = append(c.queue[:0], c.queue[1:]...)
	c.ns++
	if len(c.sent) == 0 {
		c.sends, c.interval, c.since = 1, firstRetransmit, now
		c.timer = now.Add(c.interval)
	}
	c.sent = append(c.sent, m)
	return m, true
}

// backOff arms the timer after a retransmission, twice as long as before, and
// starts slowly again: "SSTHRESH is set to half of CWND, and CWND to 1".
func (c *channel) backOff(now time.Time) {
	c.sends++
	c.interval = min(2*c.interval, lastRetransmit)
	c.timer = now.Add(c.interval)
	c.threshold = max(c.congested/2, 1)
	c.congested, c.credit = 1, 0
}

// arrival says what a received Ns is.
type arrival uint8

const (
	inTurn arrival = iota + 1 // the next
	early                     // its predecessors are missing
	late                      // a duplicate
	tooFar                    // beyond any window of ours
)

func (c *channel) classify(ns uint16, window int) arrival {
	switch ahead := int16(ns - c.nr); {
	case ahead == 0:
		return inTurn
	case ahead < 0:
		return late
	case int(ahead) < window:
		return early
	}
	return tooFar
}

// keep stores a message for its turn.
func (c *channel) keep(ns uint16, data []byte) {
	for _, m := range c.ahead {
		if m.ns == ns {
			return
		}
	}
	c.ahead = append(c.ahead, incoming{ns: ns, data: append([]byte(nil), data...)})
}

// turn takes the stored message whose turn it is.
func (c *channel) turn() ([]byte, bool) {
	for i, m := range c.ahead {
		if m.ns == c.nr {
			c.ahead = append(c.ahead[:i], c.ahead[i+1:]...)
			return m.data, true
		}
	}
	return nil, false
}
