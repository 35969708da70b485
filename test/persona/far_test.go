package persona

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/sim"
)

// A satellite, or a crowded cell, takes two seconds each way; clients repeat
// every three. Whoever repeats faster than answers can come must not be taken
// for somebody who starts anew.
func TestEveryClientConnectsOverALongPath(t *testing.T) {
	for _, delay := range []time.Duration{1600 * time.Millisecond, 2 * time.Second} {
		t.Run(fmt.Sprint(delay), func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				w := sim.New(t, sim.Options{})
				w.Net.SetPolicy(udptest.Policy{Delay: delay})
				c := start(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				began := time.Now()
				err := c.Dial()
				t.Logf("%v: %v", time.Since(began), err)
				if err != nil {
					t.Fatalf("it does not connect: %v", err)
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("connecting took %v", took)
				}
			})
		})
	}
}

// There are peers that listen to no Configure-Request of the server's once their
// own is acknowledged, and whose PPP needs a while to begin: the server's first
// request is lost, and the next must not come behind the Ack.
func TestAPeerThatListensNoMoreOnceItHasItsAckConnects(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond, 300 * time.Millisecond, time.Second} {
		for _, late := range []time.Duration{0, 70 * time.Millisecond, 700 * time.Millisecond, 2500 * time.Millisecond, 6 * time.Second} {
			t.Run(fmt.Sprintf("%v each way, PPP begins %v late", delay, late), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := NetworkManager(NetworkManagerOptions{})
					p.PPP.Start, p.PPP.DeafOnceAcked = late, true
					w := sim.New(t, sim.Options{})
					w.Net.SetPolicy(udptest.Policy{Delay: delay})
					c := start(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					began := time.Now()
					if err := c.Dial(); err != nil {
						t.Fatalf("it does not connect: %v", err)
					}
					if took := time.Since(began); took > late+20*2*delay+time.Second {
						t.Errorf("connecting took %v", took)
					}
				})
			})
		}
	}
}
