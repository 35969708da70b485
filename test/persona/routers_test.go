package persona

import (
	"net/netip"
	"testing"
	"time"

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

// Its profile accepts every method. The server may have one only.
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

// It asks every two minutes whether the server is there, for as long as it is
// connected.
func TestRouterOSIsAnsweredWhenItAsksWhetherTheServerIsThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, sim.Options{})
		c := online(t, RouterOS(RouterOSOptions{}), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		time.Sleep(24*time.Hour + time.Minute)
		if n := len(c.Stats().Acks); n != 24*30 {
			t.Errorf("it heard %d answers in a day, want %d", n, 24*30)
		}
		leaves(t, w, c)
	})
}
