package ppp

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// A scheduled repeat of a request does not repeat the request that follows it. The peer
// has answered meanwhile, and a copy of the request that it acknowledges next would take
// it down.
func TestANudgeIsForItsRequestAlone(t *testing.T) {
	for _, trip := range []time.Duration{0, 20 * time.Millisecond, 600 * time.Millisecond, 4 * time.Second} {
		for name, answer := range map[string]string{
			"Nak":    "c021 03 01 0009 0305c22305", // CHAP in place of MS-CHAPv2
			"Reject": "c021 04 01 0008 01040578",   // no MRU
		} {
			t.Run(fmt.Sprint(name, ", ", trip), func(t *testing.T) {
				d := &ladder{t: t, l: New(Env{
					Config: serverConfig(MethodMSCHAPv2, MethodCHAP), Rand: machinetest.Rand(1), RoundTrip: trip,
				}), now: machinetest.Epoch, last: map[uint16][]byte{}}
				d.l.Start(d.now)
				d.drain()
				d.recv("c021 01 01 000e 0104 0578 0506 11223344") // this schedules a nudge
				machinetest.WantLine(t, d.since(func() { d.recv(answer) }), "< LCP Configure-Request id=2")
				// For as long as the answer may take.
				machinetest.WantNoLine(t, d.since(func() { d.wait(d.l.period() - time.Millisecond) }), "Configure-Request")
			})
		}
	}
}
