package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/client"
)

var (
	server6  = netip.MustParseAddr("2001:db8:1::1")
	allNodes = netip.MustParseAddr("ff02::1")
)

// with6 gives a world IPv6: each session gets a /64 of one network, and routers get a /56
// of another.
func with6(o Options) Options {
	nets := []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/48")}
	o.Pool6 = pool.Of(pool.Prefixes(64, nets...), server6)
	delegate := netip.MustParsePrefix("2001:db8:f000::/40")
	o.Delegate6 = pool.Of(pool.Prefixes(56, delegate))
	return on6(o, append(nets, delegate)...)
}

// on6 makes a world serve IPv6, whatever it leases.
func on6(o Options, networks ...netip.Prefix) Options {
	change := o.Policy
	o.Policy = func(p *vpn.Policy) {
		p.IPv6 = &session.IPv6{Server: server6}
		for _, n := range networks {
			p.Networks = append(p.Networks, pool.Network{Prefix: n, Server: server6})
		}
		p.Settings.DNS = append(p.Settings.DNS, netip.MustParseAddr("2620:fe::9"))
		if change != nil {
			change(p)
		}
	}
	o.Plane = func(c *dataplane.Config) { c.Pools = append(c.Pools, networks...) }
	return o
}

// host6 is the IPv6 side of a client's host.
type host6 struct {
	heard
	t       *testing.T
	d       *client.Dialled
	l       *Laptop
	mu      sync.Mutex
	network ppp.Network6
}

func (h *host6) up(e ppp.Network6Up) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.network = e.Network
}

func (h *host6) own() netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.network.Peer.LinkLocal()
}

// connect6 connects a laptop that has IPv6.
func connect6(t *testing.T, w *World, from string) *host6 {
	t.Helper()
	h := &host6{t: t, l: w.Laptop(w.Net.Host(from), nil)}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	h.d, err = h.l.Dial(ctx, client.Target{
		Local: h.l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password,
		IPv6: true, Packets: h.packet, Network6: h.up,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	return h
}

func icmp6(src, dst netip.Addr, icmp ...byte) []byte {
	b := append(make([]byte, 40), icmp...)
	packet.PutSum(b[40:], 2, packet.ICMPv6, src, dst)
	packet.Put(b, packet.ICMPv6, 255, src, dst)
	return b
}

func udp6(src, dst netip.Addr, from, to uint16, payload []byte) []byte {
	b := append(make([]byte, 48), payload...)
	u := b[40:]
	binary.BigEndian.PutUint16(u, from)
	binary.BigEndian.PutUint16(u[2:], to)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	packet.PutSum(u, 6, packet.UDP, src, dst)
	packet.Put(b, packet.UDP, 64, src, dst)
	return b
}

// advertisement is a Router Advertisement as a host reads it.
type advertisement struct {
	to             netip.Addr
	managed, other bool
	lifetime       uint16
	prefix         netip.Prefix
	prefixFlags    byte
	routes         []netip.Prefix
	options        []byte // the types of its options
}

// advertisements returns the advertisements that were received, and forgets them.
func (h *host6) advertisements() (list []advertisement) {
	h.t.Helper()
	for _, b := range h.take() {
		p, ok := packet.Parse(b)
		if !ok || p.Protocol != packet.ICMPv6 || b[40] != 134 {
			continue
		}
		if b[7] != 255 || p.Src != netip.MustParseAddr("fe80::1") {
			h.t.Errorf("a Router Advertisement with hop limit %d from %v", b[7], p.Src)
		}
		a := advertisement{to: p.Dst, managed: b[45]&0x80 != 0, other: b[45]&0x40 != 0, lifetime: binary.BigEndian.Uint16(b[46:])}
		for o := b[56:p.Len]; len(o) >= 8; o = o[int(o[1])*8:] {
			a.options = append(a.options, o[0])
			switch o[0] {
			case 3:
				a.prefix, a.prefixFlags = netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:])), int(o[2])), o[3]
			case 24:
				a.routes = append(a.routes, netip.PrefixFrom(netip.AddrFrom16([16]byte(o[8:])), int(o[2])))
			}
		}
		list = append(list, a)
	}
	return list
}

// take returns what was received, and forgets it.
func (h *heard) take() [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.packets
	h.packets = nil
	return list
}

// solicit asks for a router, and returns the answer.
func (h *host6) solicit() advertisement {
	h.t.Helper()
	h.take()
	h.d.SendIP(icmp6(h.own(), netip.MustParseAddr("ff02::2"), 133, 0, 0, 0, 0, 0, 0, 0))
	time.Sleep(time.Second)
	list := h.advertisements()
	if len(list) != 1 || list[0].to != h.own() {
		h.t.Fatalf("a Router Solicitation was answered by %+v", list)
	}
	return list[0]
}

// ask sends a DHCPv6 message, and returns the answer.
func (h *host6) ask(kind dhcpv6.MessageType, options ...dhcpv6.Option) *dhcpv6.Message {
	h.t.Helper()
	m := &dhcpv6.Message{MessageType: kind, TransactionID: dhcpv6.TransactionID{7, 8, 9}}
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}))
	for _, o := range options {
		m.AddOption(o)
	}
	h.take()
	h.d.SendIP(udp6(h.own(), netip.MustParseAddr("ff02::1:2"), 546, 547, m.ToBytes()))
	time.Sleep(time.Second)
	for _, b := range h.take() {
		if p, ok := packet.Parse(b); ok && p.Protocol == packet.UDP && p.Dst == h.own() {
			r, err := dhcpv6.MessageFromBytes(b[48:])
			if err != nil {
				h.t.Fatal(err)
			}
			return r
		}
	}
	h.t.Fatalf("%v is not answered", kind)
	return nil
}

// passes6 fails the test unless a packet gets through in each direction.
func (h *host6) passes6(w *World, own netip.Addr, n byte) {
	h.t.Helper()
	h.d.Own(netip.PrefixFrom(own, 128))
	far := netip.MustParseAddr("2001:db8:ffff::80")
	out, back := udp6(own, far, 9, 9, []byte{n}), udp6(far, own, 9, 9, []byte{n})
	synctest.Wait()
	h.l.Device.Inject(0, out)
	time.Sleep(time.Second)
	if got := w.Device.Poll(); !bytes.Equal(got, out) {
		h.t.Errorf("from %v: the server's device got %x", own, got)
	}
	w.Device.Inject(0, back)
	time.Sleep(time.Second)
	if got := h.l.Device.Poll(); !bytes.Equal(got, back) {
		h.t.Errorf("to %v: the client got %x", own, got)
	}
}

func TestAClientMakesItsAddressOfItsPrefix(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, with6(Options{}))
		h := connect6(t, w, "198.51.100.7")
		time.Sleep(6 * time.Second)
		if first := h.advertisements(); len(first) == 0 || first[0].to != allNodes {
			t.Fatalf("at first the client heard %+v", first)
		}
		a := h.solicit()
		want := netip.MustParsePrefix("2001:db8:1:1::/64")
		if a.prefix != want || a.prefixFlags != 0x40 || a.managed || !a.other || a.lifetime != 1800 || bytes.ContainsAny(a.options, "\x01\x02") {
			t.Errorf("advertised %+v, want %v, autonomous and not on-link, and no link-layer address", a, want)
		}
		h.passes6(w, netip.MustParseAddr("2001:db8:1:1::1234"), 1)
		passes(t, w, h.l, h.d, 100)
		h.d.SendIP(udp6(netip.MustParseAddr("2001:db8:1:2::1"), server6, 9, 9, nil))
		time.Sleep(time.Second)
		if got := w.Device.Poll(); got != nil {
			t.Errorf("another's prefix passed: %x", got)
		}
		if r := h.ask(dhcpv6.MessageTypeInformationRequest); len(r.Options.DNS()) != 1 || r.Options.DNS()[0].String() != "2620:fe::9" {
			t.Errorf("DHCPv6 says %v", r)
		}
		second := connect6(t, w, "198.51.100.8")
		if a := second.solicit(); a.prefix != netip.MustParsePrefix("2001:db8:1:2::/64") {
			t.Errorf("the second client has %v", a.prefix)
		}
	})
}

func TestRouterAdvertisementsGoOn(t *testing.T) {
	in(t, func(t *testing.T) {
		h := connect6(t, New(t, with6(Options{})), "198.51.100.7")
		time.Sleep(20 * time.Second)
		if n := len(h.advertisements()); n < 2 || n > 3 { // the first may arrive before the client has its address
			t.Errorf("%d in the beginning, want 3", n)
		}
		time.Sleep(time.Hour)
		if n := len(h.advertisements()); n < 6 || n > 9 {
			t.Errorf("%d in an hour", n)
		}
	})
}

func TestARouterIsDelegatedAPrefix(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, with6(Options{}))
		h := connect6(t, w, "198.51.100.7")
		ia := &dhcpv6.OptIAPD{IaId: [4]byte{1}}
		offer := h.ask(dhcpv6.MessageTypeSolicit, ia)
		r := h.ask(dhcpv6.MessageTypeRequest, dhcpv6.OptServerID(offer.Options.ServerID()), ia)
		list := r.Options.OneIAPD().Options.Prefixes()
		if offer.MessageType != dhcpv6.MessageTypeAdvertise || r.MessageType != dhcpv6.MessageTypeReply || len(list) != 1 || list[0].Prefix.String() != "2001:db8:f000::/56" {
			t.Fatalf("offered %v, delegated %v", offer, list)
		}
		h.passes6(w, netip.MustParseAddr("2001:db8:f000:7::1234"), 1)
		if r := h.ask(dhcpv6.MessageTypeSolicit, &dhcpv6.OptIANA{IaId: [4]byte{2}}); r.Options.OneIANA().Options.Status().StatusCode != iana.StatusNoAddrsAvail {
			t.Errorf("an address is offered beside the prefix: %v", r)
		}
	})
}

// One /64 for all sessions is too small to be divided: addresses are assigned by DHCPv6.
func TestASmallPoolGivesAddresses(t *testing.T) {
	n := netip.MustParsePrefix("2001:db8:1::/64")
	in(t, func(t *testing.T) {
		w := New(t, on6(Options{Pool6: pool.New([]pool.Range{pool.Prefix(n)}, n.Addr(), server6)}, n))
		h := connect6(t, w, "198.51.100.7")
		if a := h.solicit(); !a.managed || a.prefix.IsValid() {
			t.Errorf("advertised %+v", a)
		}
		r := h.ask(dhcpv6.MessageTypeSolicit, &dhcpv6.OptIANA{IaId: [4]byte{2}}, &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		if a := r.Options.OneIANA().Options.OneAddress(); r.MessageType != dhcpv6.MessageTypeReply || a.IPv6Addr.String() != "2001:db8:1::2" {
			t.Fatalf("%v", r)
		}
		h.passes6(w, netip.MustParseAddr("2001:db8:1::2"), 1)
	})
}

func TestTheUsersOwnIPv6(t *testing.T) {
	grant := auth.Grant{IPv6: auth.IPv6{
		Prefix: netip.MustParsePrefix("2001:db8:1:77::/64"), Delegated: netip.MustParsePrefix("2001:db8:9::/48"), Interface: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
	}}
	in(t, func(t *testing.T) {
		b := &books{}
		w := New(t, with6(Options{Backend: backend(grant), Accountant: b}))
		h := connect6(t, w, "198.51.100.7")
		if h.own() != netip.MustParseAddr("fe80::102:304:506:708") {
			t.Errorf("the client's link-local address is %v", h.own())
		}
		if a := h.solicit(); a.prefix != grant.IPv6.Prefix {
			t.Errorf("advertised %+v", a)
		}
		h.passes6(w, netip.MustParseAddr("2001:db8:9:1::1"), 1)
		if list := w.Server.List(); len(list) != 1 || list[0].Sessions[0].IPv6 != grant.IPv6 {
			t.Errorf("List = %+v", list)
		}
		// The same user comes back, and takes over what only that user can have.
		again := connect6(t, w, "198.51.100.8")
		if a := again.solicit(); a.prefix != grant.IPv6.Prefix {
			t.Errorf("the second time %+v", a)
		}
		again.passes6(w, netip.MustParseAddr("2001:db8:9:1::1"), 2)
		again.d.Close()
		time.Sleep(time.Second)
		records := b.all()
		if last := records[len(records)-1]; last.Status != auth.Stop || last.IPv6 != grant.IPv6 {
			t.Errorf("accounted %+v", last)
		}
	})
}

func TestIPv6ThatNoClientCanHave(t *testing.T) {
	for name, six := range map[string]auth.IPv6{
		"a prefix that is no /64":        {Prefix: netip.MustParsePrefix("2001:db8:9::/48")},
		"the server's own":               {Prefix: netip.MustParsePrefix("2001:db8:1::/64")},
		"an address of another's prefix": {Address: netip.MustParseAddr("2001:db8:1:5::1")},
		"a part of another's delegation": {Delegated: netip.MustParsePrefix("2001:db8:f020::/60")},
		"a delegation of the whole pool": {Delegated: netip.MustParsePrefix("2001:db8:1::/48")},
		"link-local":                     {Address: netip.MustParseAddr("fe80::7")},
	} {
		in(t, func(t *testing.T) {
			w := New(t, with6(Options{Backend: backend(auth.Grant{IPv6: six})}))
			if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr); err == nil {
				t.Errorf("%s: connected", name)
			}
			if done := All[vpn.AuthDone](w.Events); len(done) != 1 || done[0].Verdict != auth.NotAllowed || done[0].Detail == "" {
				t.Errorf("%s: %+v", name, done)
			}
		})
	}
}

func TestSplitTunnelsHaveNoDefaultRouter(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, with6(Options{Policy: func(p *vpn.Policy) { p.Settings.Split = split("10.0.0.0/8", "2001:db8:ffff::/48") }}))
		a := connect6(t, w, "198.51.100.7").solicit()
		if a.lifetime != 0 || len(a.routes) != 3 || a.routes[0] != netip.MustParsePrefix("2001:db8:ffff::/48") {
			t.Errorf("advertised %+v", a)
		}
	})
}

func TestWithoutIPv6ThereIsIPv4(t *testing.T) {
	exhausted := pool.Of(pool.Prefixes(64, netip.MustParsePrefix("2001:db8:1::/64")), server6)
	for name, o := range map[string]Options{
		"not configured":    {},
		"the pool is empty": on6(Options{Pool6: exhausted}, netip.MustParsePrefix("2001:db8:1::/64")),
	} {
		in(t, func(t *testing.T) {
			w := New(t, o)
			h := connect6(t, w, "198.51.100.7")
			if a := h.advertisements(); len(a) != 0 {
				t.Errorf("%s: advertised %+v", name, a)
			}
			passes(t, w, h.l, h.d, 1)
			time.Sleep(5 * time.Minute)
			passes(t, w, h.l, h.d, 3)
		})
	}
}

func TestTheRouterIsANeighbor(t *testing.T) {
	in(t, func(t *testing.T) {
		h := connect6(t, New(t, with6(Options{})), "198.51.100.7")
		h.take()
		target := netip.MustParseAddr("fe80::1").AsSlice()
		h.d.SendIP(icmp6(h.own(), netip.MustParseAddr("fe80::1"), append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target...)...))
		time.Sleep(time.Second)
		list := h.take()
		if len(list) != 1 || list[0][40] != 136 || len(list[0]) != 64 || !bytes.Equal(list[0][48:], target) {
			t.Errorf("answered by %x", list)
		}
	})
}

// Leases are returned when sessions end.
func TestIPv6LeasesAreReleased(t *testing.T) {
	in(t, func(t *testing.T) {
		o := with6(Options{})
		before := [2]int{o.Pool6.InUse(), o.Delegate6.InUse()}
		w := New(t, o)
		h := connect6(t, w, "198.51.100.7")
		if now := [2]int{o.Pool6.InUse(), o.Delegate6.InUse()}; now != [2]int{before[0] + 1, before[1] + 1} {
			t.Errorf("in use %v, before %v", now, before)
		}
		h.d.Close()
		time.Sleep(10 * time.Second)
		if now := [2]int{o.Pool6.InUse(), o.Delegate6.InUse()}; now != before {
			t.Errorf("in use after the end %v, before %v", now, before)
		}
	})
}
