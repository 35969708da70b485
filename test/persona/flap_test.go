package persona

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// The packets that open IPCP or IPV6CP may be lost, repeated and reordered. Neither end
// closes it again because of that, and a ping gets through in time. By the table of RFC
// 1661 alone, an open peer is taken down whenever the last Ack to the server is lost.
func TestIPCPStaysOpenUnderLoss(t *testing.T) {
	for _, make := range []func() Profile{
		func() Profile { return Android(AndroidOptions{Deletes: true}) },
		func() Profile { return NetworkManager(NetworkManagerOptions{}) },
	} {
		for _, percent := range []int{5, 10, 15} {
			t.Run(fmt.Sprintf("%s, %d percent", make().Name, percent), func(t *testing.T) {
				t.Parallel()
				var took []time.Duration
				for seed := range uint64(50) {
					if d, ok := pingsUnderLoss(t, make(), float64(percent)/100, seed); ok {
						took = append(took, d)
					}
				}
				if len(took) < 45 {
					t.Fatalf("only %d of 50 connected", len(took))
				}
				slices.Sort(took)
				t.Logf("%d of 50 connected, after a median of %v, the slowest after %v", len(took), took[len(took)/2], took[len(took)-1])
			})
		}
	}
}

// pingsUnderLoss connects once, and pings for 20 seconds. It returns how long after the
// client's start the first ping got through, and false if the network lost every copy of
// a packet.
func pingsUnderLoss(t *testing.T, p Profile, loss float64, seed uint64) (took time.Duration, ok bool) {
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			o := with6(netip.MustParseAddr("2001:db8:1::1"), netip.MustParsePrefix("2001:db8:1::/48"))
			o.Seed = seed
			w := sim.New(t, o)
			w.Net.SetPolicy(udptest.Policy{Loss: loss, Duplicate: 0.02, Delay: 40 * time.Millisecond, Jitter: 60 * time.Millisecond})
			c := New(p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"), seed, func(rule string) { t.Error(rule) })
			var once sync.Once
			defer once.Do(c.Vanish)
			began := time.Now()
			if err := c.Dial(); err != nil {
				return
			}
			own, _ := c.Address()
			for n := range uint32(40) {
				c.Send(numbered(own, internet, n+1))
				time.Sleep(500 * time.Millisecond)
				if !ok && number(w.Device.Poll()) > 0 {
					took, ok = time.Since(began), true
				}
			}
			if !ok {
				t.Errorf("no ping came through within 20 seconds")
			}
			if n := c.Stats().Reopened; n > 0 {
				t.Errorf("the client's IPCP was taken down %d times", n)
			}
			for _, e := range sim.All[vpn.Noted](w.Events) {
				if e.Kind == "peer renegotiates" && e.Text != "LCP" {
					t.Errorf("the server's %s was taken down", e.Text)
				}
			}
			if t.Failed() {
				t.Log(c.Log())
			}
		})
	})
	return took, ok
}
