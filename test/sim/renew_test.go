package sim

import (
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/netdev/netdevtest"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// Both ends renew keys of ten seconds at the same time, again and again, with any delay
// between them. Whichever pair of SAs is deleted then, nobody sends on it.
func TestKeysThatBothEndsRenewAtOnceLoseNothing(t *testing.T) {
	for _, delay := range []time.Duration{0, 100 * time.Microsecond, 3 * time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			in(t, func(t *testing.T) { renewAtOnce(t, delay) })
		})
	}
}

func renewAtOnce(t *testing.T, delay time.Duration) {
	n := udptest.New(1)
	n.SetPolicy(udptest.Policy{Delay: delay})
	w := New(t, Options{Net: n})
	l := w.Laptop(n.Host("198.51.100.7"), func(c *client.Config) { c.ChildLifetime = 10 * time.Second })
	d, err := l.Connect(ServerAddr)
	if err != nil {
		t.Fatal(err)
	}
	const packets = 60000
	up, down := 0, 0
	for i := range uint32(packets) {
		if i%23456 == 23455 {
			d.Rephase()
		}
		l.Device.Inject(0, datagram(d.Network.Peer, internet, i+1))
		w.Device.Inject(0, datagram(internet, d.Network.Peer, i+1))
		time.Sleep(time.Millisecond)
		up, down = up+arrived(w.Device), down+arrived(l.Device)
	}
	time.Sleep(time.Second)
	up, down = up+arrived(w.Device), down+arrived(l.Device)
	if up != packets || down != packets {
		t.Errorf("up %d, down %d of %d packets; the client dropped %v", up, down, packets, l.Drops())
	}
	if n := len(All[vpn.ChildUp](w.Events)); n < 7 {
		t.Errorf("only %d pairs of SAs came up", n)
	}
}

// arrived takes what came out of a device, and counts it.
func arrived(d *netdevtest.Device) (n int) {
	for b := d.Poll(); b != nil; b = d.Poll() {
		n++
	}
	return n
}
