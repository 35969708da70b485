package persona

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// When the server renews keys, as a last resort, the client may be slow, or message 3 may
// be lost. Nothing is sent on the new pair before the client has it, and nothing is lost.
func TestKeysThatTheServerRenewsLoseNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		late time.Duration
		lost int
		life uint32
	}{
		"at once":                          {0, 0, 600},
		"slow by 400 ms":                   {400 * time.Millisecond, 0, 600},
		"slow by 5 s":                      {5 * time.Second, 0, 600},
		"message 3 lost":                   {0, 1, 600},
		"message 3 lost twice":             {0, 2, 600},
		"message 3 lost, and slow":         {3 * time.Second, 1, 600},
		"keys of a minute, slow by 3 s":    {3 * time.Second, 0, 60},
		"keys of a minute, message 3 lost": {0, 1, 60},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Profile{NetworkManager(NetworkManagerOptions{}), Android(AndroidOptions{Deletes: true})} {
				bubble(t, func(t *testing.T) {
					p.ESP.SA, p.ESP.Life, p.ESP.Kilobytes = charonESP(tt.life, espSuite{espAES, 256, espSHA1}), 0, 0
					p.Odd.Responds, p.Odd.Late, p.Odd.Lost = true, tt.late, tt.lost
					w := sim.New(t, sim.Options{})
					c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
					begins := time.Duration(tt.life) * time.Second
					time.Sleep(begins - min(30*time.Second, begins/10) - 5*time.Second)
					s := &stream{w: w, c: c}
					for range 6000 {
						s.step(5 * time.Millisecond)
					}
					s.want(t, 0)
					if n := c.Stats().UnknownSPI; n != 0 {
						t.Errorf("%d packets left on keys that the client did not have", n)
					}
					if n := len(sim.All[vpn.ChildUp](w.Events)); n != 2 {
						t.Errorf("%d pairs came up, want two", n)
					}
				})
			}
		})
	}
}

// The same holds over a long path, where message 1 is repeated before message 2 can
// arrive.
func TestKeysThatTheServerRenewsOverALongPathLoseNothing(t *testing.T) {
	for _, late := range []time.Duration{0, 2 * time.Second} {
		for _, lost := range []int{0, 1} {
			t.Run(fmt.Sprintf("slow by %v, %d lost", late, lost), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := NetworkManager(NetworkManagerOptions{})
					p.ESP.SA, p.ESP.Life, p.ESP.Kilobytes = charonESP(600, espSuite{espAES, 256, espSHA1}), 0, 0
					p.Odd.Responds, p.Odd.Late, p.Odd.Lost = true, late, lost
					w := sim.New(t, sim.Options{})
					c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
					w.Net.SetPolicy(udptest.Policy{Delay: 2 * time.Second})
					time.Sleep(565 * time.Second)
					s := &stream{w: w, c: c}
					for range 6000 {
						s.step(5 * time.Millisecond)
					}
					w.Net.SetPolicy(udptest.Policy{})
					time.Sleep(5 * time.Second) // until packets on their way have arrived
					s.collect()
					s.want(t, 0)
					if n := c.Stats().UnknownSPI; n != 0 {
						t.Errorf("%d packets left on keys that the client did not have", n)
					}
					if n := len(sim.All[vpn.ChildUp](w.Events)); n != 2 {
						t.Errorf("%d pairs came up, want two", n)
					}
				})
			})
		}
	}
}
