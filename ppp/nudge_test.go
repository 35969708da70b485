package ppp

import (
	"fmt"
	"testing"
	"time"
)

// What was to repeat a request does not repeat its successor: the peer has answered
// meanwhile, and a copy of what it acknowledges next would take it down.
func TestANudgeIsForItsRequestAlone(t *testing.T) {
	for _, trip := range []time.Duration{0, 20 * time.Millisecond, 600 * time.Millisecond, 4 * time.Second} {
		for name, answer := range map[string]string{
			"Nak":    "c021 03 01 0009 0305c22305", // CHAP in place of MS-CHAPv2
			"Reject": "c021 04 01 0008 01040578",   // no MRU
		} {
			t.Run(fmt.Sprint(name, ", ", trip), func(t *testing.T) {
				d := &ladder{t: t, l: New(Env{
					Config: serverConfig(MethodMSCHAPv2, MethodCHAP), Rand: testRand(1), RoundTrip: trip,
				}), now: epoch, last: map[uint16][]byte{}}
				d.l.Start(d.now)
				d.drain()
				d.recv("c021 01 01 000e 0104 0578 0506 11223344") // it is heard: a nudge is due
				wantLine(t, d.since(func() { d.recv(answer) }), "< LCP Configure-Request id=2")
				// As long as the answer may take.
				wantNoLine(t, d.since(func() { d.wait(d.l.period() - time.Millisecond) }), "Configure-Request")
			})
		}
	}
}
