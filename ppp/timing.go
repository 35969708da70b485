package ppp

import "time"

// maxPeriod bounds what a path is waited for.
const maxPeriod = 15 * time.Second

// period is how long a packet waits for its answer before it is repeated: the
// default of RFC 1661, section 4.6, or longer where the path is long. A copy that
// leaves before an answer can come takes down what the first has opened, and draws
// a second CHAP Response, whose proof is another.
func (l *Link) period() time.Duration {
	return min(max(restartPeriod, slack(l.env.RoundTrip)), maxPeriod)
}

// slack is a round trip with room for what varies.
func slack(trip time.Duration) time.Duration { return trip + trip/2 }
