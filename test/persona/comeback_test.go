package persona

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// goodbye is what a client sends when it leaves; the rest of its goodbye was lost.
type goodbye struct {
	name string
	say  func(*Client)
}

var goodbyes = []goodbye{
	{"as it likes", func(c *Client) {
		c.Leave(c)
		c.drop(func(*child) bool { return c.phases[0].gone }) // Windows keeps the SAs that it has deleted
	}},
	{"silence", func(*Client) {}},
	{"LCP Terminate", func(c *Client) { c.hangUp(nil, time.Second) }},
	{"CDN", sayCDN},
	{"StopCCN", sayStopCCN},
	{"CDN, StopCCN", func(c *Client) { sayCDN(c); sayStopCCN(c) }},
	{"LCP Terminate, StopCCN", func(c *Client) { c.hangUp(nil, time.Second); sayStopCCN(c) }},
	{"IPsec Delete", sayDelete},
	{"StopCCN, IPsec Delete", func(c *Client) { sayStopCCN(c); sayDelete(c) }},
	{"ISAKMP Delete", sayDelete1},
	{"StopCCN, ISAKMP Delete", func(c *Client) { sayStopCCN(c); sayDelete1(c) }},
	{"IPsec Delete, ISAKMP Delete", func(c *Client) { sayDelete(c); sayDelete1(c) }},
}

func sayCDN(c *Client) {
	t := c.tun
	t.callUp = false
	c.order(t.distant, "CDN", wire.CDN, wire.M(1, 0, 3, 0, 0), wire.M(14, wire.U16(t.session)...))
	c.silence()
}

func sayStopCCN(c *Client) {
	t := c.tun
	t.callUp, t.closed = false, true
	c.order(0, "StopCCN", wire.StopCCN, wire.M(9, wire.U16(t.local)...), wire.M(1, 0, 6, 0, 0))
	c.silence()
}

func sayDelete(c *Client) {
	c.remove(c.current(), c.children...)
	c.children = nil
}

func sayDelete1(c *Client) { c.removePhase1(c.current()) }

// comebacks are the ways in which a client begins again, with the state that it still
// has.
var comebacks = map[string]func(*Client){
	"from the start": func(c *Client) {
		c.phases, c.children = nil, nil
		c.quickMode(c.mainMode(false))
	},
	"by Quick Mode": func(c *Client) { // traffic triggers an IPsec policy of the operating system
		c.children = nil
		c.quickMode(c.current())
	},
	"over the same SA": func(c *Client) { // as xl2tpd does when it is restarted
		if len(c.children) == 0 {
			c.quickMode(c.current())
		}
	},
}

// forget drops a client's tunnel and its pending timers for it.
func (c *Client) forget() {
	c.link, c.tun = nil, nil
	c.timers = slices.DeleteFunc(c.timers, func(t *timer) bool { return t != c.beat })
}

// back makes a client begin again.
func back(c *Client, again func(*Client)) error {
	return c.do(func() {
		c.forget()
		c.leaving, c.end = false, nil
		again(c)
		c.call()
		c.dialPPP()
	})
}

// returners are clients that differ in what they keep when they leave, and in how they
// leave.
var returners = []func() Profile{
	func() Profile { return Windows10(WindowsOptions{Length: true}) },
	func() Profile { return Android(AndroidOptions{Deletes: true}) },
	func() Profile { return Android(AndroidOptions{}) },
	func() Profile { return Apple(AppleOptions{Ack: 200 * time.Millisecond}) },
	desktops[0],
}

// A client says goodbye, in every possible way, whole or in part, and comes back after
// any number of seconds, in every possible way: it connects as fast as the first time.
func TestComingBackAfterAnyGoodbye(t *testing.T) {
	for _, make := range returners {
		for _, g := range goodbyes {
			for name, again := range comebacks {
				p := make()
				t.Run(fmt.Sprintf("%s, %s, %s", p.Name, g.name, name), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						w := sim.New(t, sim.Options{Seed: 1})
						for pause := range 21 {
							h := w.Net.NAT(fmt.Sprintf("198.51.100.%d", 10+pause)).Host("192.168.1.10")
							comeBack(t, w, make(), h, g, again, time.Duration(pause)*time.Second)
						}
					})
				})
			}
		}
	}
}

func comeBack(t *testing.T, w *sim.World, p Profile, h *udptest.Host, g goodbye, again func(*Client), pause time.Duration) {
	t.Helper()
	c := New(p, account, h, uint64(pause), func(rule string) { t.Error(rule) })
	defer func() {
		c.Vanish()
		if t.Failed() {
			for _, e := range w.Events.Everything() {
				t.Logf("%T %+v", e, e)
			}
			t.Fatalf("after %v:\n%s", pause, c.Log())
		}
	}()
	if err := c.Dial(); err != nil {
		t.Errorf("it does not connect: %v", err)
		return
	}
	_ = c.do(func() { // a client that is told that it is over has left
		c.leaving = true
		g.say(c)
	})
	time.Sleep(pause + 120*time.Millisecond) // until answers to the goodbye, on a grid of 100 ms, have come
	began := time.Now()
	if err := back(c, again); err != nil {
		t.Errorf("it does not come back: %v", err)
		return
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("coming back took %v", took)
	}
	time.Sleep(time.Millisecond)
	own, _ := c.Address()
	c.Send(numbered(own, internet, 7))
	time.Sleep(40 * time.Second) // longer than any drain time
	if got := number(w.Device.Poll()); got != 7 {
		t.Errorf("packet %d came out of the server, want 7", got)
	}
	c.Send(numbered(own, internet, 8))
	time.Sleep(time.Millisecond)
	if got := number(w.Device.Poll()); got != 8 {
		t.Errorf("later packet %d came out of the server, want 8", got)
	}
	if err := c.Err(); err != nil {
		t.Errorf("it is out again: %v", err)
	}
}

// The server says goodbye for any reason. The client does not answer, and begins again
// over the SA that it has.
func TestComingBackWhileTheServerSaysGoodbye(t *testing.T) {
	reasons := map[string]func(w *sim.World, c *Client){
		"an administrator": func(w *sim.World, _ *Client) {
			w.Server.Disconnect(func(vpn.Status) bool { return true })
		},
		"a wrong password": func(_ *sim.World, c *Client) {
			password := c.Password
			c.Password = "wrong"
			_ = back(c, comebacks["over the same SA"])
			c.Password = password
		},
		"no user in time": func(_ *sim.World, c *Client) {
			_ = c.do(func() { c.forget(); c.call() })
			time.Sleep(time.Minute)
		},
	}
	for name, reason := range reasons {
		for _, way := range []string{"over the same SA", "by Quick Mode", "from the start"} {
			for pause := range 8 {
				t.Run(fmt.Sprintf("%s, %s, %d s", name, way, pause), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						w := sim.New(t, sim.Options{Seed: 1})
						c := start(t, desktops[0](), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
						if err := c.Dial(); err != nil {
							t.Fatal(err)
						}
						again := comebacks[way]
						if way == "over the same SA" {
							again = func(c *Client) {
								if len(c.children) == 0 { // it was told that its SAs are gone
									c.phases = nil
									c.quickMode(c.mainMode(false))
								}
							}
						}
						reason(w, c)
						_ = c.do(func() { c.leaving = true; c.forget() }) // it answers nothing
						time.Sleep(time.Duration(pause)*time.Second + time.Millisecond)
						began := time.Now()
						if err := back(c, again); err != nil {
							t.Fatalf("it does not come back: %v", err)
						}
						if took := time.Since(began); took > 2*time.Second {
							t.Errorf("coming back took %v", took)
						}
						time.Sleep(40 * time.Second)
						if err := c.Err(); err != nil {
							t.Errorf("it is out again: %v", err)
						}
						passes(t, w, c, 1)
					})
				})
			}
		}
	}
}
