package persona

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// Windows and Apple ask by DHCPINFORM for the networks that go through the
// tunnel. Apple uses option 249 alone, and only if option 53 is the first.
func TestEveryClientThatAsksLearnsTheRoutesOfASplitTunnel(t *testing.T) {
	asked := 0
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{Policy: func(p *vpn.Policy) {
			p.Settings.Split, p.Settings.Domain = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}, "corp.example"
		}})
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		time.Sleep(time.Second)
		if q := c.informing; q != nil {
			asked++
			if q.answer == nil {
				t.Fatal("its DHCPINFORM was not answered")
			}
			route, _ := hex.DecodeString("10c0a8" + "0a530001") // RFC 3442: /16, its two bytes, the router
			for _, o := range []wire.Option{{Type: 249, Value: route}, {Type: 15, Value: []byte("corp.example")}} {
				if !slices.ContainsFunc(q.answer.Options, func(x wire.Option) bool { return x.Type == o.Type && string(x.Value) == string(o.Value) }) {
					t.Errorf("the answer lacks option %d with %x: %v", o.Type, o.Value, q.answer.Options)
				}
			}
		}
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
	if asked < 3 {
		t.Errorf("%d clients asked, want both Windows and Apple", asked)
	}
}

// with6 are a server's options with IPv6 on.
func with6(server netip.Addr, network netip.Prefix) sim.Options {
	return sim.Options{
		Pool6: pool.Of(pool.Prefixes(64, network), server),
		Policy: func(p *vpn.Policy) {
			p.IPv6 = &session.IPv6{Server: server}
			p.Networks = append(p.Networks, pool.Network{Prefix: network, Server: server})
		},
		Plane: func(c *dataplane.Config) { c.Pools = append(c.Pools, network) },
	}
}

// With IPv6 on, clients that negotiate IPV6CP learn a prefix; the others connect as
// before.
func TestEveryClientThatAsksHasIPv6(t *testing.T) {
	server := netip.MustParseAddr("2001:db8:1::1")
	network := netip.MustParsePrefix("2001:db8:1::/48")
	six := 0
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, with6(server, network))
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		time.Sleep(time.Second)
		if slices.Contains(p.PPP.NCPs, wire.IPV6CP) {
			six++
			own := c.Address6()
			if !network.Contains(own) {
				t.Fatalf("its IPv6 address is %v", own)
			}
			there := netip.MustParseAddrPort("[2001:db8:ffff::9]:9")
			up := wire.UDP{Src: netip.AddrPortFrom(own, 9), Dst: there, Payload: []byte("up")}.IPv6(64)
			c.Send(up)
			time.Sleep(time.Second)
			if got := w.Device.Poll(); string(got) != string(up) {
				t.Errorf("%x came out of the server, want %x", got, up)
			}
			down := wire.UDP{Src: there, Dst: netip.AddrPortFrom(own, 9), Payload: []byte("down")}.IPv6(64)
			w.Device.Inject(0, down)
			time.Sleep(time.Second)
			if got := c.Poll(); string(got) != string(down) {
				t.Errorf("%x came to the client, want %x", got, down)
			}
		}
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
	if six < 3 {
		t.Errorf("%d clients have IPv6, want both Windows and Apple", six)
	}
}
