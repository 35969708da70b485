package persona

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// A new pair that the server began waits until the client uses it, and meanwhile the
// client's NAT gives it another port or another address. The packets on the old pair are
// the newest, so the server follows them.
func TestARebindingWhileANewPairWaitsLosesNothing(t *testing.T) {
	for _, before := range []time.Duration{-100 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, 6 * time.Second} {
		for name, rebind := range map[string]func(*udptest.NAT){
			"another port":    (*udptest.NAT).Rebind,
			"another address": func(n *udptest.NAT) { n.Move("198.51.100.9") },
		} {
			t.Run(fmt.Sprint(name, " after ", before), func(t *testing.T) {
				bubble(t, func(t *testing.T) { rebindWhileSettling(t, before, rebind) })
			})
		}
	}
}

func rebindWhileSettling(t *testing.T, after time.Duration, rebind func(*udptest.NAT)) {
	p := NetworkManager(NetworkManagerOptions{})
	p.ESP.SA, p.ESP.Life, p.ESP.Kilobytes = charonESP(600, espSuite{espAES, 256, espSHA1}), 0, 0
	p.Odd.Responds, p.Odd.Late = true, 9*time.Second
	w := sim.New(t, sim.Options{})
	nat := w.Net.NAT("198.51.100.7")
	c := online(t, p, account, nat.Host("192.168.1.10"))
	const renewed, lead = 570 * time.Second, 2 * time.Second
	time.Sleep(renewed - lead + after)
	s := &stream{w: w, c: c}
	own, _ := c.Address()
	for i := range 2000 {
		if i == int(lead/(10*time.Millisecond)) {
			rebind(nat)
		}
		s.sent++
		c.Send(numbered(own, internet, s.sent))
		time.Sleep(5 * time.Millisecond) // so that the server learns of it first
		w.Device.Inject(0, numbered(internet, own, s.sent))
		time.Sleep(5 * time.Millisecond)
		s.collect()
	}
	s.want(t, 0)
	if n := len(sim.All[vpn.ChildUp](w.Events)); n != 2 {
		t.Errorf("%d pairs came up, want two", n)
	}
}
