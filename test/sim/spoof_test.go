package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/test/client"
)

// behind inserts an empty destination options header before the payload of an IPv6
// packet.
func behind(b []byte) []byte {
	hidden := append(append(bytes.Clone(b[:40]), b[6], 0, 1, 4, 0, 0, 0, 0), b[40:]...)
	binary.BigEndian.PutUint16(hidden[4:], uint16(len(hidden)-40))
	hidden[6] = 60
	return hidden
}

// A logged-in user sends all kinds of forged packets. A packet that claims to come from
// another client or a router, over IPv4, IPv6 or multicast, reaches neither the device
// nor another client, and answers go only to the sender.
func TestWhatAUserMayNotSend(t *testing.T) {
	in(t, func(t *testing.T) {
		o := with6(Options{})
		pools := o.Plane
		o.Plane = func(c *dataplane.Config) {
			pools(c)
			c.Multicast = true
			c.Broadcasts = []netip.Addr{netip.MustParseAddr("10.83.255.255")}
		}
		w := New(t, o)
		evil, victim := connect6(t, w, "198.51.100.66"), connect6(t, w, "198.51.100.7")
		time.Sleep(20 * time.Second)
		a := netip.MustParseAddr
		var (
			own4, his4    = evil.d.Network.Peer, victim.d.Network.Peer
			own6, his6    = a("2001:db8:1:1::5"), a("2001:db8:1:2::5")
			ownLL, hisLL  = evil.own(), victim.own()
			router        = a("fe80::1")
			advertisement = []byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}
			override      = append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, server6.AsSlice()...)
			dhcp, all4    = make([]byte, 300), a("255.255.255.255")
			hidden, to    = behind, a("ff02::1")
		)
		dhcp[0] = 2
		evil.take()
		victim.take()
		for name, b := range map[string][]byte{
			"another's IPv4":                      datagram(his4, internet, 1),
			"the server's IPv4":                   datagram(a("10.83.0.1"), internet, 1),
			"no IPv4":                             datagram(a("0.0.0.0"), his4, 1),
			"loopback":                            datagram(a("127.0.0.1"), his4, 1),
			"IPv4 link-local":                     datagram(a("169.254.1.1"), his4, 1),
			"broadcast as a source":               datagram(all4, his4, 1),
			"another's IPv4, to everybody":        datagram(his4, a("224.0.0.251"), 1),
			"another's IPv4, to the subnet":       datagram(his4, a("10.83.255.255"), 1),
			"a DHCP server to everybody":          udp4(own4, all4, 67, 68, dhcp),
			"a DHCP client to everybody":          udp4(own4, all4, 68, 67, dhcp),
			"another's IPv6":                      udp6(his6, a("2001:db8:9::1"), 9, 9, nil),
			"the server's IPv6":                   udp6(server6, his6, 9, 9, nil),
			"a prefix delegated to others":        udp6(a("2001:db8:f000:100::1"), his6, 9, 9, nil),
			"an IPv4 address in IPv6":             udp6(a("::ffff:10.83.0.2"), his6, 9, 9, nil),
			"IPv6 loopback":                       udp6(a("::1"), his6, 9, 9, nil),
			"no IPv6":                             udp6(a("::"), his6, 9, 9, nil),
			"multicast as a source":               udp6(a("ff02::1"), his6, 9, 9, nil),
			"link-local, to another":              udp6(ownLL, hisLL, 9, 9, nil),
			"link-local, far away":                udp6(ownLL, his6, 9, 9, nil),
			"the router's link-local":             udp6(router, his6, 9, 9, nil),
			"an advertisement to all":             icmp6(ownLL, to, advertisement...),
			"an advertisement of the router":      icmp6(router, to, advertisement...),
			"an advertisement to one":             icmp6(router, his6, advertisement...),
			"an advertisement from afar":          icmp6(own6, to, advertisement...),
			"an advertisement that hides":         hidden(icmp6(own6, to, advertisement...)),
			"an advertisement of the router hid":  hidden(icmp6(router, his6, advertisement...)),
			"a neighbour that is the server":      icmp6(own6, to, override...),
			"a neighbour that is the server, hid": hidden(icmp6(own6, to, override...)),
			"a DHCPv6 server to all":              udp6(own6, to, 547, 546, []byte{2, 1, 2, 3}),
			"a DHCPv6 server that hides":          hidden(udp6(own6, to, 547, 546, []byte{2, 1, 2, 3})),
			"a DHCPv6 server, link-local":         udp6(router, hisLL, 547, 546, []byte{2, 1, 2, 3}),
			"a DHCPv6 client, link-local":         udp6(hisLL, a("ff02::1:2"), 546, 547, []byte{1, 1, 2, 3, 0, 1, 0, 4, 0, 3, 0, 1}),
			"a solicitation of another":           icmp6(hisLL, a("ff02::2"), 133, 0, 0, 0, 0, 0, 0, 0),
			"a ping of the router as another":     icmp6(hisLL, router, 128, 0, 0, 0, 0, 0, 0, 0),
			"a ping of all":                       icmp6(own6, to, 128, 0, 0, 0, 0, 0, 0, 0),
			"another's IPv6, to everybody":        udp6(his6, a("ff05::fb"), 9, 9, nil),
		} {
			evil.d.SendIP(b)
			time.Sleep(time.Second)
			if got := w.Device.Poll(); got != nil {
				t.Errorf("%s: the device got %x", name, got)
			}
			if list := victim.take(); len(list) != 0 {
				t.Errorf("%s: the victim got %x", name, list)
			}
			if got := victim.l.Device.Poll(); got != nil {
				t.Errorf("%s: the victim's device got %x", name, got)
			}
		}
		// Legitimate packets still pass.
		for name, b := range map[string][]byte{
			"mDNS":          datagram(own4, a("224.0.0.251"), 1),
			"mDNS of IPv6":  udp6(own6, a("ff02::fb"), 5353, 5353, []byte{1}),
			"its own IPv6":  udp6(own6, a("2001:db8:9::1"), 9, 9, nil),
			"behind header": hidden(udp6(own6, a("2001:db8:9::1"), 9, 9, nil)),
		} {
			evil.d.SendIP(b)
			time.Sleep(time.Second)
			if got := w.Device.Poll(); !bytes.Equal(got, b) {
				t.Errorf("%s: the device got %x", name, got)
			}
		}
		passes(t, w, victim.l, victim.d, 500)
		if h, ok := packet.Parse(hidden(udp6(own6, his6, 9, 9, nil))); !ok || h.Protocol != 60 {
			t.Error("nothing was hidden")
		}
	})
}

// However many sessions one user opens, a small IPv6 pool that is exhausted ends none of
// them: a later session connects without IPv6, and gets it once there is some again.
func TestAnExhaustedPoolOfIPv6EndsNoSession(t *testing.T) {
	in(t, func(t *testing.T) {
		o := on6(Options{Backend: auth.NewLocal([]auth.User{
			{Name: User, Password: secret.String(Password)}, {Name: "bob", Password: secret.String(Password)},
		})}, netip.MustParsePrefix("2001:db8:1::/62"))
		o.Pool6 = pool.Of(pool.Prefixes(64, netip.MustParsePrefix("2001:db8:1::/62")), server6) // three leases
		w := New(t, o)
		for i := range 5 {
			h := w.Laptop(w.Net.Host(netip.AddrFrom4([4]byte{198, 51, 100, byte(10 + i)}).String()), nil)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			d, err := h.Dial(ctx, client.Target{
				Local: h.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password, IPv6: true,
			})
			cancel()
			if err != nil {
				t.Fatalf("session %d: %v", i, err)
			}
			time.Sleep(time.Second)
			passes(t, w, h, d, uint32(10*i))
		}
		with := 0
		for _, c := range w.Server.List() {
			for _, s := range c.Sessions {
				if s.IPv6.Prefix.IsValid() {
					with++
				}
			}
		}
		if with != 3 {
			t.Errorf("%d sessions have IPv6, want the three that there are", with)
		}
	})
}
