package persona

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// loiter are things that a peer with the key and no user does again and again, to keep
// its place.
var loiter = map[string]func(*Client){
	"nothing":                   func(*Client) {},
	"a new Quick Mode":          func(c *Client) { c.quickMode(c.current()) },
	"a new phase 1":             func(c *Client) { c.mainMode(true) },
	"both":                      func(c *Client) { c.quickMode(c.mainMode(true)) },
	"StopCCN, a new tunnel":     func(c *Client) { sayStopCCN(c); anew(c) },
	"a tunnel in its place":     func(c *Client) { anew(c) },
	"CDN, a new tunnel":         func(c *Client) { sayCDN(c); anew(c) },
	"StopCCN, all of it anew":   func(c *Client) { sayStopCCN(c); c.quickMode(c.mainMode(true)); anew(c) },
	"Deletes, a new pair":       func(c *Client) { sayDelete(c); c.quickMode(c.current()) },
	"R-U-THERE":                 func(c *Client) { c.inform(c.current(), probes(c)) },
	"LCP, from the beginning":   func(c *Client) { c.sendPPP(wire.LCP, wire.CP{Code: wire.ConfReq, ID: byte(c.rand.Uint32())}.Marshal()) },
	"packets of no session":     func(c *Client) { c.sendPPP(wire.IPv4, numbered(c.own, internet, 1)) },
	"HELLO":                     func(c *Client) { c.order(0, "HELLO", wire.Hello) },
	"Terminate, a new tunnel":   func(c *Client) { c.hangUp(nil); anew(c) },
	"INITIAL-CONTACT, a tunnel": func(c *Client) { c.inform(c.current(), c.current().contact()); anew(c) },
}

// anew opens a tunnel and a call, whatever there was before. No PPP is sent in it.
func anew(c *Client) {
	c.forget()
	c.link = &link{ids: map[uint16]byte{}, cps: map[uint16]*cp{}}
	c.call()
}

func probes(c *Client) wire.Payload {
	p := c.current()
	body := append([]byte{0, 0, 0, 1, 1, 16}, wire.U16(wire.RUThere)...)
	return wire.Payload{Type: wire.PayloadNotify, Body: append(append(append(body, p.ci[:]...), p.cr[:]...), wire.U32(c.rand.Uint32())...)}
}

// A peer that has the key and brings no user is gone two setup times after it proved the
// key, whatever it does meanwhile. After that it has no more than a stranger has.
func TestWhoBringsNoUserIsGoneInTime(t *testing.T) {
	for name, again := range loiter {
		for _, pause := range []time.Duration{time.Second, 7 * time.Second, 25 * time.Second} {
			t.Run(fmt.Sprintf("%s, every %v", name, pause), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w := sim.New(t, sim.Options{Seed: 1})
					c := New(NetworkManager(NetworkManagerOptions{}), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"), 1, func(string) {})
					defer c.Vanish()
					if err := c.do(func() { c.quickMode(c.mainMode(false)); anew(c) }); err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					first := w.Server.List()
					if len(first) != 1 {
						t.Fatalf("%d connections", len(first))
					}
					gone := func() bool {
						return slices.ContainsFunc(sim.All[vpn.ConnDown](w.Events), func(d vpn.ConnDown) bool { return d.Conn == first[0].Conn })
					}
					for !gone() && time.Since(began) < 10*time.Minute {
						time.Sleep(pause)
						_ = c.do(func() {
							c.end, c.leaving = nil, true // it processes no goodbye
							again(c)
						})
					}
					if !gone() {
						t.Errorf("it is still here after %v", time.Since(began))
					}
					limit := 2*w.Policy.SetupTimeout + w.Policy.DrainTimeout + time.Second
					for _, d := range sim.All[vpn.ConnDown](w.Events) {
						if d.Lifetime > limit {
							t.Errorf("a connection without a user lasted %v", d.Lifetime)
						}
					}
				})
			})
		}
	}
}

// pensive is a backend that takes some time.
type pensive struct{ auth.Backend }

func (p pensive) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	time.Sleep(4 * time.Second)
	return p.Backend.Authenticate(ctx, r)
}

// A client that comes to an endpoint at which another peer brought no user has the full
// time to log in, however much of the other peer's time has passed.
func TestWhoComesBackHasTheTimeToLogIn(t *testing.T) {
	for name, before := range map[string]func(*Client){
		"phase 1":      func(c *Client) { c.mainMode(false) },
		"a Quick Mode": func(c *Client) { c.quickMode(c.mainMode(false)) },
		"a tunnel":     func(c *Client) { c.quickMode(c.mainMode(false)); anew(c) },
	} {
		t.Run(name, func(t *testing.T) {
			for pause := 40 * time.Second; pause < 130*time.Second; pause += 3 * time.Second {
				bubble(t, func(t *testing.T) {
					w := sim.New(t, sim.Options{Backend: pensive{auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password)}})}})
					host := w.Net.NAT("198.51.100.7").Host("192.168.1.10")
					c := New(NetworkManager(NetworkManagerOptions{}), account, host, 1, func(string) {})
					if err := c.do(func() { before(c) }); err != nil {
						t.Fatal(err)
					}
					c.Vanish()
					time.Sleep(pause)
					c = New(NetworkManager(NetworkManagerOptions{}), account, host, 2, func(string) {})
					defer c.Vanish()
					if err := c.Dial(); err != nil {
						t.Fatalf("after %v: %v\n%s", pause, err, c.Log())
					}
				})
			}
		})
	}
}

// The time limit to bring a user does not apply to a Mac that continues its tunnel from
// another network, although that connection has no user either until its client has
// answered.
func TestAMacKeepsItsSessionBeyondTheTimeToBringAUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		host := w.Net.Host("198.51.100.7")
		c := online(t, Apple(AppleOptions{Ack: 200 * time.Millisecond}), account, host)
		for i := range 4 {
			time.Sleep(3 * w.Policy.SetupTimeout)
			host.SetAddr(fmt.Sprintf("203.0.113.%d", i+1))
			if err := c.Reassert(); err != nil {
				t.Fatalf("move %d: %v", i, err)
			}
			passes(t, w, c, uint32(10*i))
		}
		time.Sleep(3 * w.Policy.SetupTimeout)
		passes(t, w, c, 100)
		if down := sim.All[vpn.SessionDown](w.Events); len(down) != 0 {
			t.Errorf("its session ended: %+v", down)
		}
	})
}

// identities are the identifications that the server used in message 6 of each handshake.
func identities(c *Client) (list []string) {
	for line := range strings.Lines(c.Log()) {
		if _, id, ok := strings.Cut(line, "phase 1 is up, the server is "); ok {
			list = append(list, strings.TrimSpace(id))
		}
	}
	return list
}

// A server behind a NAT identifies itself by the address that its users dialled. Peers
// that have the key and no user say in their Quick Modes that they dialled something
// else, and the server does not believe it.
func TestPeersWithoutAUserDoNotTeachTheServerItsAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := NetworkManager(NetworkManagerOptions{})
		w, a := serverBehindNAT(t, p)
		calls := func(from string) string {
			t.Helper()
			c := online(t, p, a, w.Net.NAT(from).Host("192.168.1.10"))
			defer func() { _ = c.Close() }()
			return fmt.Sprint(identities(c))
		}
		first, known := calls("198.51.100.1"), calls("198.51.100.2")
		if first == known || !strings.HasSuffix(known, fmt.Sprintf("%x]", a.Server.AsSlice())) {
			t.Fatalf("the server is %s at first, and %s when it knows how it is dialled", first, known)
		}
		liar := start(t, p, a, w.Net.NAT("198.51.100.66").Host("192.168.1.10"))
		if err := liar.do(func() {
			liar.mainMode(false)
			for i := range 20 {
				liar.Odd.ServerID = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
				liar.quickMode(liar.current())
				anew(liar)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if n := len(sim.All[vpn.ChildUp](w.Events)); n < 20 {
			t.Fatalf("%d pairs: the attack did not take place", n)
		}
		if now := calls("198.51.100.3"); now != known {
			t.Errorf("the server is %s after that, and was %s", now, known)
		}
	})
}
