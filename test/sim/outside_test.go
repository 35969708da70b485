package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// auto is a server that also accepts ESP without UDP.
func auto(o Options) Options {
	o.Ports = []uint16{ESPPort}
	o.Policy = func(p *vpn.Policy) { p.IKE.NATT = ike.NATTAuto }
	return o
}

// bare makes a client that prefers ESP without UDP.
func bare(h *udptest.Host) func(*client.Config) {
	return func(c *client.Config) {
		c.NATT = ike.NATTAuto
		c.Workers[0] = append(c.Workers[0], socket(h, ESPPort))
	}
}

// ports counts the datagrams of a network by the server's port.
type ports map[uint16]int

func (p ports) watch(n *udptest.Net) {
	n.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
		p[min(d.Src.Port(), d.Dst.Port())]++
		return false
	}})
}

func TestWithoutNATESPNeedsNoUDP(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, auto(Options{}))
		seen := ports{}
		seen.watch(w.Net)
		h := w.Net.Host("198.51.100.7")
		l := w.Laptop(h, bare(h))
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 100)
		d.Close()
		time.Sleep(10 * time.Second)
		w.WantNothingLeft(t)
		if seen[client.NATTPort] != 0 || seen[ESPPort] == 0 {
			t.Errorf("datagrams by port: %v", seen)
		}
	})
}

func TestBehindNATESPGoesInUDPThoughNotAlways(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, auto(Options{}))
		nat := w.Net.NAT("198.51.100.7")
		h := nat.Host("192.168.1.10")
		l := w.Laptop(h, bare(h))
		seen := ports{}
		seen.watch(w.Net)
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 100)
		if seen[client.NATTPort] == 0 || seen[ESPPort] != 0 {
			t.Errorf("datagrams by port: %v", seen)
		}
	})
}

func TestAServerBehindNATAlwaysEncapsulates(t *testing.T) {
	in(t, func(t *testing.T) {
		n, host := serverBehindNAT()
		w := New(t, auto(Options{Net: n, Host: host}))
		h := n.Host("198.51.100.7")
		l := w.Laptop(h, bare(h))
		d, err := l.Connect(natAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 100)
	})
}

func TestOverIPv6(t *testing.T) {
	for name, raw := range map[string]bool{"ESP in UDP": false, "ESP alone": true} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				n := udptest.New(1)
				o := Options{Net: n, Host: n.Host("2001:db8::1")}
				if raw {
					o = auto(o)
				}
				w := New(t, o)
				h := n.Host("2001:db8:7::10")
				change := func(*client.Config) {}
				if raw {
					change = bare(h)
				}
				l := w.Laptop(h, change)
				d, err := l.Connect("2001:db8::1")
				if err != nil {
					t.Fatal(err)
				}
				passes(t, w, l, d, 100)
				if list := w.Server.List(); len(list) != 1 || list[0].Remote.Addr() != netip.MustParseAddr("2001:db8:7::10") || list[0].Encap == raw {
					t.Errorf("%+v", list)
				}
				d.Close()
				time.Sleep(10 * time.Second)
				w.WantNothingLeft(t)
			})
		})
	}
}

func TestWhoCannotEncapsulateIsToldWhere(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{})
		h := w.Net.Host("198.51.100.7")
		l := w.Laptop(h, func(c *client.Config) {
			bare(h)(c)
			c.VendorIDs = []ike.VendorID{ike.VendorDPD}
		})
		if _, err := l.Connect(ServerAddr); err == nil {
			t.Fatal("a client without NAT traversal is connected, over a socket that there is not")
		}
		time.Sleep(10 * time.Second)
		w.WantNothingLeft(t)
		down := All[vpn.ConnDown](w.Events)
		if len(down) != 1 || down[0].Why != vpn.EndNoESP {
			t.Errorf("%+v", down)
		}
	})
}
