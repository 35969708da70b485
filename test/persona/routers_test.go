package persona

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/sim"
)

// routers are the clients that are routers.
var routers = []func() Profile{
	func() Profile { return RouterOS(RouterOSOptions{}) },
	func() Profile {
		return named("RouterOS 6, the other way", RouterOS(RouterOSOptions{
			DNS: true, NoIPv6: true, MPPE: 0x01000000, BSD: true, Sparse: true, Ephemeral: true, GroupFirst: true,
			Length: true, PFC: true, NoGoodbye: true,
		}))
	},
	func() Profile { return RouterOS(RouterOSOptions{Seven: true, AnyPort: true, NoNATOA: true}) },
	func() Profile { return RRAS(RRASOptions{Length: true}) },
	func() Profile {
		return named("RRAS, the other way", RRAS(RRASOptions{
			Address: netip.MustParseAddr("192.168.77.1"), Mutual: true, NoDNS: true, NoMulti: true, IPv6Last: true,
		}))
	},
}

// Its profile accepts every method. The server may support only one.
func TestRouterOSAuthenticatesByTheMethodThatTheServerHas(t *testing.T) {
	for _, method := range []ppp.Method{ppp.MethodPAP, ppp.MethodCHAP, ppp.MethodMSCHAPv2} {
		t.Run(method.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) { p.PPP.Methods = []ppp.Method{method} }})
				c := online(t, RouterOS(RouterOSOptions{}), account, w.Net.Host("198.51.100.7"))
				passes(t, w, c, 1)
				leaves(t, w, c)
			})
		})
	}
}

// It asks every two minutes whether the server is alive, as long as it is connected.
func TestRouterOSIsAnsweredWhenItAsksWhetherTheServerIsThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		c := online(t, RouterOS(RouterOSOptions{}), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		time.Sleep(24*time.Hour + time.Minute)
		if n := len(c.Stats().Acks); n < 24*30-1 { // one may be in flight when phase 1 is renewed
			t.Errorf("it heard %d answers in a day, want about %d", n, 24*30)
		}
		leaves(t, w, c)
	})
}

// It may also ask exactly when phase 1 is renewed: under the old phase 1, which it then
// deletes, or under the new one.
func TestRouterOSIsAnsweredWhenItAsksWhilePhaseOneIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		c := online(t, RouterOS(RouterOSOptions{}), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		for range 100 {
			before := len(c.Stats().Acks)
			if err := c.Rephase(); err != nil {
				t.Fatal(err)
			}
			c.Ask()
			time.Sleep(time.Second)
			if n := len(c.Stats().Acks); n != before+1 {
				t.Fatalf("it heard %d answers, want one", n-before)
			}
		}
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
}

// RRAS renews its keys by kilobytes, as all Windows clients do. On the other clients an
// administrator can set a limit of bytes.
func TestDesktopsAndRoutersRenewTheirKeysByKilobytesWithoutLoss(t *testing.T) {
	for _, make := range append(slices.Concat(desktops, routers), func() Profile {
		return named("RRAS, 20 kB", RRAS(RRASOptions{Kilobytes: 20}))
	}) {
		p := make()
		p.ESP.Kilobytes = 20
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond})
				s := &stream{w: w, c: c}
				for range 500 {
					s.step(10 * time.Millisecond)
				}
				time.Sleep(time.Second) // until packets on their way have arrived
				s.want(t, c.Stats().UnknownSPI)
				if n := len(sim.All[vpn.ChildUp](w.Events)); n < 3 {
					t.Errorf("%d pairs of SAs came up", n)
				}
				if n := len(w.Server.List()); n != 1 {
					t.Errorf("it has %d connections, want one", n)
				}
			})
		})
	}
}

// RRAS may have the other end authenticate itself, too. It does so to the caller of a link,
// and RRAS goes on without where the server has nothing to show.
func TestRRASHasTheOtherEndAuthenticateItself(t *testing.T) {
	for name, shown := range map[string]auth.Link{
		"it does": {User: "head", Password: secret.String("what head says")}, "it has nothing to show": {},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{
					Policy:  func(p *vpn.Policy) { p.PPP.Shows = shown.User != "" },
					Backend: linked{auth.NewLocal([]auth.User{{Name: sim.User, Password: secret.String(sim.Password)}}), shown},
				})
				a := account
				if shown.User != "" {
					a.PeerUser, a.PeerPassword = "head", "what head says"
				}
				c := online(t, RRAS(RRASOptions{Mutual: true}), a, w.Net.Host("198.51.100.7"))
				passes(t, w, c, 1)
				leaves(t, w, c)
			})
		})
	}
}

// linked says of every user that it is the other end of a link.
type linked struct {
	*auth.Local
	shown auth.Link
}

// Authenticate implements auth.Backend.
func (l linked) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	answer, err := l.Local.Authenticate(ctx, r)
	l.shown.Local, answer.Grant.Link = netip.MustParseAddr("10.83.0.1"), &l.shown
	return answer, err
}
