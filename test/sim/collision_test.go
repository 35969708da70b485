package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// Both sides renew their ESP SAs at the same moment, again and again, over paths of any
// length. This results in two pairs, and no packet is lost, whichever pair was agreed
// first at either side.
func TestBothSidesRekeyAtTheSameTime(t *testing.T) {
	for _, delay := range []time.Duration{0, 2 * time.Millisecond, 20 * time.Millisecond, 150 * time.Millisecond} {
		t.Run(fmt.Sprint(delay), func(t *testing.T) {
			in(t, func(t *testing.T) { collide(t, delay) })
		})
	}
}

func collide(t *testing.T, delay time.Duration) {
	w := New(t, Options{})
	events := &Recorder{t: t}
	l := w.Laptop(w.Net.Host("198.51.100.7"), func(c *client.Config) { c.ChildLifetime, c.Observer = 10*time.Second, events })
	d, err := l.Connect(ServerAddr)
	if err != nil {
		t.Fatal(err)
	}
	w.Net.SetPolicy(udptest.Policy{Delay: delay})
	own := d.Network.Peer
	up, down, sent := 0, 0, 8000
	count := func() {
		for b := w.Device.Poll(); b != nil; b = w.Device.Poll() {
			up++
		}
		for b := l.Device.Poll(); b != nil; b = l.Device.Poll() {
			down++
		}
	}
	for i := range sent {
		l.Device.Inject(0, datagram(own, internet, uint32(i)))
		w.Device.Inject(0, datagram(internet, own, uint32(i)))
		time.Sleep(25 * time.Millisecond)
		count()
	}
	time.Sleep(time.Second)
	count()
	if up != sent || down != sent {
		t.Errorf("of %d packets each way %d came up and %d down", sent, up, down)
	}
	for i, n := range w.Plane.Drops() {
		if n > 0 {
			t.Errorf("the server dropped %d packets: %v", n, dataplane.Drop(i))
		}
	}
	for reason, n := range l.Drops() {
		t.Errorf("the client dropped %d packets: %v", n, reason)
	}
	if n := len(All[vpn.ChildUp](events)); n < 20 {
		t.Errorf("%d pairs of SAs came up in 200 seconds", n)
	}
}
