package ppp

import "time"

// maxPeriod bounds how long a packet waits for its answer.
const maxPeriod = 15 * time.Second

// period is how long a packet waits for its answer before it is repeated: the default of
// RFC 1661, section 4.6, or longer where the path is long. A copy that leaves before an
// answer can arrive takes down the layer that the first copy has opened, and causes a
// second CHAP Response, with a different proof.
func (l *Link) period() time.Duration {
	return min(max(restartPeriod, slack(l.env.RoundTrip)), maxPeriod)
}

// slack is a round trip plus a margin for its variation.
func slack(trip time.Duration) time.Duration { return trip + trip/2 }
