package persona

import (
	"fmt"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/sim"
)

// A satellite or a crowded cell takes two seconds each way, and clients repeat every
// three. A client that repeats before an answer can arrive must not be mistaken for one
// that starts anew.
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

// The same holds for a client that refuses the first method offered, one that sends its
// password in clear, and one with a certificate. None of them is taken down by a copy of
// a request that it has answered.
func TestEveryMethodConnectsOverALongPath(t *testing.T) {
	far := func(t *testing.T, p Profile, a Account, policy func(*vpn.Policy)) {
		w := sim.New(t, sim.Options{Policy: policy})
		w.Net.SetPolicy(udptest.Policy{Delay: 2 * time.Second})
		c := start(t, p, a, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		began, opened := time.Now(), 0
		c.PPP.Opened = func(*Client) { opened++ }
		if err := c.Dial(); err != nil {
			t.Fatalf("it does not connect: %v", err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("connecting took %v", took)
		}
		for _, renew := range []func() error{c.Rekey, c.Rephase} {
			if err := renew(); err != nil {
				t.Error(err)
			}
		}
		if n := c.Stats().Reopened; n > 0 || opened != 1 {
			t.Errorf("LCP opened %d times, IPCP was taken down %d times", opened, n)
		}
	}
	for name, method := range map[string]struct {
		own []byte
		is  ppp.Method
	}{"PAP": {authPAP, ppp.MethodPAP}, "CHAP": {authCHAP, ppp.MethodCHAP}} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				p.PPP.Auth = [][]byte{method.own}
				far(t, p, account, func(p *vpn.Policy) { p.PPP.Methods = append(p.PPP.Methods, method.is) })
			})
		})
	}
	t.Run("certificate", func(t *testing.T) {
		eachSigner(t, func(t *testing.T, p Profile) { far(t, p, accountOf(p), policyOf(p)) })
	})
}

// Two devices of one user behind one NAT look alike. An answer that needs a long round
// trip must not count as no answer.
func TestALookalikeOnALongPathIsLeftAlone(t *testing.T) {
	for _, limit := range []int{0, 1} {
		t.Run(fmt.Sprint("at most ", limit), func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) { p.SessionsPerUser = limit }})
				w.Net.SetPolicy(udptest.Policy{Delay: 2 * time.Second})
				nat := w.Net.NAT("198.51.100.7")
				one := start(t, p, account, nat.Host("192.168.1.10"))
				two := start(t, p, account, nat.NAT("192.168.1.11").Host("192.168.1.10"))
				if err := one.Dial(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(30 * time.Second)
				if err := two.Dial(); (err == nil) != (limit == 0) {
					t.Errorf("the other device: %v", err)
				}
				time.Sleep(30 * time.Second)
				if err := one.Err(); err != nil {
					t.Errorf("it is out: %v", err)
				}
			})
		})
	}
}

// A Mac or an iPhone may move to a long path. It is challenged again there, and a copy of
// the Challenge sent before its Response can arrive would cause a second Response.
func TestAppleMovesToALongPath(t *testing.T) {
	for _, before := range []time.Duration{0, 2 * time.Second} {
		for _, after := range []time.Duration{0, time.Second, 1600 * time.Millisecond, 2 * time.Second} {
			for _, old := range []bool{false, true} {
				t.Run(fmt.Sprintf("from %v to %v, old %v", before, after, old), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						w := sim.New(t, sim.Options{})
						w.Net.SetPolicy(udptest.Policy{Delay: before})
						h := w.Net.Host("198.51.100.7")
						c := start(t, Apple(AppleOptions{OldESP: old}), account, h)
						if err := c.Dial(); err != nil {
							t.Fatal(err)
						}
						time.Sleep(20 * time.Second)
						w.Net.SetPolicy(udptest.Policy{Delay: after})
						h.SetAddr("198.51.100.99")
						began := time.Now()
						if err := c.Reassert(); err != nil {
							t.Fatalf("it does not move: %v", err)
						}
						if took := time.Since(began); took > time.Minute {
							t.Errorf("moving took %v", took)
						}
						w.Net.SetPolicy(udptest.Policy{})
						time.Sleep(10 * time.Second)
						passes(t, w, c, 1)
					})
				})
			}
		}
	}
}

// Some peers ignore the server's Configure-Requests once their own is acknowledged, and
// their PPP needs a while to start. The server's first request is lost, and the next must
// not come after the Ack.
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
