package l2tp

import (
	"slices"
	"time"
)

// The reliable channel (RFC 2661, section 5.8 and appendices A and B).
const (
	firstRetransmit = time.Second
	lastRetransmit  = 8 * time.Second // "no less than 8 seconds"
	maxSends        = 8               // transmissions of one message: waits of 1+2+4+8+8+8+8+8 seconds
	maxClosingSends = 5               // transmissions of any message once we are closing: 23 seconds
	defaultWindow   = 4               // section 4.4.3: "if absent, the peer must assume a value of 4"
	minWindow       = 4
	maxWindow       = 32 // messages that we keep until their turn
	maxQueue        = 64 // messages that wait for the peer's window
)

// channel is one end of a control connection's reliable channel.
type channel struct {
	ns, nr uint16 // number of the next message to send, and of the next expected

	queue []outgoing // composed, waiting for the window
	sent  []outgoing // sent, waiting for their acknowledgement, oldest first
	ahead []incoming // received before their turn

	window    int // the peer's Receive Window Size
	congested int // the congestion window (appendix A)
	threshold int // slow start's threshold
	credit    int // acknowledgements counted for the congestion window's next step

	timer    time.Time     // retransmission, zero when nothing is outstanding
	interval time.Duration // the timer's next duration
	sends    int           // transmissions of the oldest outstanding message
	since    time.Time     // its first transmission

	trips [2]time.Duration // of the two messages acknowledged last
}

// outgoing is a message to be sent, or sent and not yet acknowledged.
type outgoing struct {
	ns    uint16
	hello bool
	at    time.Time // when it was first sent
	data  []byte    // with its header, whose Nr is updated before it is sent
}

// incoming is a message that arrived before its predecessors.
type incoming struct {
	ns   uint16
	data []byte
}

// before reports whether sequence number a comes before b (section 5.8: the 32767
// preceding ones are old).
func before(a, b uint16) bool { return int16(a-b) < 0 }

func (c *channel) start() {
	c.congested = 1
	c.setWindow(defaultWindow)
}

// setWindow takes the peer's Receive Window Size. "A value of 0 ... is invalid";
// we treat it as 1, which always works.
func (c *channel) setWindow(n int) {
	c.window = max(n, 1)
	c.threshold = c.window
}

// idle reports whether everything that was sent is acknowledged.
func (c *channel) idle() bool { return len(c.sent) == 0 && len(c.queue) == 0 }

// plausible reports whether nr acknowledges only messages that were sent.
func (c *channel) plausible(nr uint16) bool { return !before(c.ns, nr) }

// acknowledge handles a received Nr. Up to the threshold the congestion window
// grows by one for each acknowledged message, above it by one for each full
// window.
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
	c.trips[1], c.trips[0] = c.trips[0], max(now.Sub(c.sent[n-1].at), 1) // 0 means not measured
	c.sent = drop(c.sent, n)
	c.sends, c.interval, c.timer = 1, firstRetransmit, time.Time{}
	if len(c.sent) > 0 {
		c.timer, c.since = now.Add(c.interval), now
	}
}

// roundTrip is the smaller round-trip time of the two messages acknowledged last.
// If a message was sent several times, nobody knows which copy was acknowledged
// (Karn's ambiguity). Counted from the first copy, its time may be too long but is
// never too short. On a slow path, where every message is repeated before its
// answer can come, that time is right. On a fast path that loses one message, the
// time of the other message is right.
func (c *channel) roundTrip() time.Duration {
	if c.trips[1] == 0 {
		return c.trips[0]
	}
	return min(c.trips[0], c.trips[1])
}

// next takes the next message from the queue, if the windows allow one.
func (c *channel) next(now time.Time) (outgoing, bool) {
	if len(c.queue) == 0 || len(c.sent) >= min(c.window, c.congested) {
		return outgoing{}, false
	}
	m := c.queue[0]
	m.ns, m.at = c.ns, now
	c.queue = drop(c.queue, 1)
	c.ns++
	if len(c.sent) == 0 {
		c.sends, c.interval, c.since = 1, firstRetransmit, now
		c.timer = now.Add(c.interval)
	}
	c.sent = append(c.sent, m)
	return m, true
}

// drop removes the first n messages. An empty list holds no memory.
func drop(list []outgoing, n int) []outgoing {
	if n == len(list) {
		return nil
	}
	return slices.Delete(list, 0, n)
}

// backOff arms the timer after a retransmission, with twice the previous duration,
// and restarts slow start: "SSTHRESH is set to half of CWND, and CWND to 1".
func (c *channel) backOff(now time.Time) {
	c.sends++
	c.interval = min(2*c.interval, lastRetransmit)
	c.timer = now.Add(c.interval)
	c.threshold = max(c.congested/2, 1)
	c.congested, c.credit = 1, 0
}

// arrival says where a received Ns stands in the sequence.
type arrival uint8

const (
	inTurn arrival = iota + 1 // the next one
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

// keep stores a message until its turn.
func (c *channel) keep(ns uint16, data []byte) {
	for _, m := range c.ahead {
		if m.ns == ns {
			return
		}
	}
	c.ahead = append(c.ahead, incoming{ns: ns, data: append([]byte(nil), data...)})
}

// turn takes the stored message that is next in the sequence.
func (c *channel) turn() ([]byte, bool) {
	for i, m := range c.ahead {
		if m.ns == c.nr {
			c.ahead = append(c.ahead[:i], c.ahead[i+1:]...)
			return m.data, true
		}
	}
	return nil, false
}
