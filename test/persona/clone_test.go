package persona

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/sim"
)

// booted makes a client whose random numbers equal those of every other client with this
// seed: cookies, nonces, keys, SPIs, message, tunnel and session ids, magic numbers and
// sequence numbers.
func booted(t *testing.T, p Profile, h *udptest.Host, seed uint64) *Client {
	t.Helper()
	c := New(p, account, h, seed, func(rule string) { t.Error(rule) })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", p.Name, c.Log())
		}
	})
	return c
}

// soon fails the test unless a client connects within the time that it needs without
// obstacles and with one repeated message.
func soon(t *testing.T, c *Client) {
	t.Helper()
	began := time.Now()
	if err := c.Dial(); err != nil {
		t.Fatalf("it does not connect: %v", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("connecting took %v", took)
	}
}

// Two devices with the same image are behind one NAT, and choose the same random numbers.
func TestClonedDevicesBehindOneNATConnect(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{Seed: 1})
		nat := w.Net.NAT("198.51.100.7")
		seed := rand.Uint64()
		a := booted(t, p, nat.Host("192.168.1.10"), seed)
		defer a.Vanish()
		b := booted(t, p, nat.NAT("192.168.1.11").Host("192.168.1.10"), seed)
		defer b.Vanish()
		soon(t, a)
		soon(t, b)
		time.Sleep(time.Second)
		passes(t, w, a, 1)
		passes(t, w, b, 11)
		passes(t, w, a, 21)
		if n := len(w.Server.List()); n != 2 {
			t.Errorf("there are %d connections, want 2", n)
		}
	})
}

// Both begin at the same moment.
func TestClonedDevicesConnectAtOnce(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{Seed: 1})
		w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
		nat := w.Net.NAT("198.51.100.7")
		seed := rand.Uint64()
		a := booted(t, p, nat.Host("192.168.1.10"), seed)
		defer a.Vanish()
		b := booted(t, p, nat.NAT("192.168.1.11").Host("192.168.1.10"), seed)
		defer b.Vanish()
		done := make(chan struct{})
		go func() { soon(t, a); close(done) }()
		soon(t, b)
		<-done
		time.Sleep(time.Second)
		passes(t, w, a, 1)
		passes(t, w, b, 11)
	})
}

// A device loses power and starts again with the same random numbers, from the same port
// or another one.
func TestADeviceThatStartsAgainWithTheSameRandomNumbersConnects(t *testing.T) {
	for _, rebind := range []bool{false, true} {
		for _, pause := range []time.Duration{0, time.Second, 3 * time.Second, 25 * time.Second, 40 * time.Second} {
			t.Run(fmt.Sprintf("%v, other port %v", pause, rebind), func(t *testing.T) {
				each(t, func(t *testing.T, p Profile) {
					w := sim.New(t, sim.Options{Seed: 1})
					nat := w.Net.NAT("198.51.100.7")
					h := nat.Host("192.168.1.10")
					seed := rand.Uint64()
					for n := range uint32(3) {
						c := booted(t, p, h, seed)
						soon(t, c)
						time.Sleep(time.Millisecond)
						own, _ := c.Address()
						c.Send(numbered(own, internet, 10*n+1))
						time.Sleep(time.Millisecond)
						if got := number(w.Device.Poll()); got != 10*n+1 {
							t.Errorf("packet %d came out of the server, want %d", got, 10*n+1)
						}
						c.Vanish()
						time.Sleep(pause)
						if rebind {
							nat.Rebind()
						}
					}
				})
			})
		}
	}
}

// It may say goodbye before that, by Deletes alone.
func TestADeviceThatLeavesAndStartsAgainWithTheSameRandomNumbersConnects(t *testing.T) {
	for name, leave := range map[string]func(*Client){
		"IPsec": sayDelete, "IPsec and ISAKMP": func(c *Client) { sayDelete(c); sayDelete1(c) }, "ISAKMP": sayDelete1,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				w := sim.New(t, sim.Options{Seed: 1})
				h := w.Net.NAT("198.51.100.7").Host("192.168.1.10")
				seed := rand.Uint64()
				for range 3 {
					c := booted(t, p, h, seed)
					soon(t, c)
					_ = c.do(func() {
						c.leaving = true
						leave(c)
					})
					time.Sleep(20 * time.Millisecond)
					c.Vanish()
				}
			})
		})
	}
}
