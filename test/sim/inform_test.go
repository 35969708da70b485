package sim

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

func split(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// inform is a DHCPINFORM as Windows sends it, built by a library that shares no code with
// the server's encoder.
func inform(t *testing.T, src netip.Addr) []byte {
	t.Helper()
	m, err := dhcpv4.NewInform(net.HardwareAddr{2, 0, 0, 1, 2, 3}, src.AsSlice(),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionDomainName, dhcpv4.OptionDomainNameServer, dhcpv4.OptionClasslessStaticRoute, dhcpv4.GenericOptionCode(249)))
	if err != nil {
		t.Fatal(err)
	}
	return udp4(src, netip.MustParseAddr("255.255.255.255"), 68, 67, m.ToBytes())
}

func udp4(src, dst netip.Addr, from, to uint16, payload []byte) []byte {
	b := append(make([]byte, 28), payload...)
	u := b[20:]
	binary.BigEndian.PutUint16(u, from)
	binary.BigEndian.PutUint16(u[2:], to)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	packet.PutSum(u, 6, packet.UDP, src, dst)
	packet.Put(b, packet.UDP, 64, src, dst)
	return b
}

// informed sends a DHCPINFORM and returns the answer, nil if there is none.
func informed(t *testing.T, l *Laptop, d *client.Dialled) *dhcpv4.DHCPv4 {
	t.Helper()
	l.Device.Inject(0, inform(t, d.Network.Peer))
	time.Sleep(time.Second)
	b := l.Device.Poll()
	if b == nil {
		return nil
	}
	h, ok := packet.Parse(b)
	if !ok || h.Src != d.Network.Local || h.Dst != d.Network.Peer || binary.BigEndian.Uint16(b[20:]) != 67 || binary.BigEndian.Uint16(b[22:]) != 68 {
		t.Fatalf("not from the server's port 67 to the client's 68: %x", b)
	}
	m, err := dhcpv4.FromBytes(b[28:])
	if err != nil || b[28+240] != 53 {
		t.Fatalf("%v; the first option is %d, want 53", err, b[28+240])
	}
	return m
}

func TestSplitTunnelsLearnTheirRoutes(t *testing.T) {
	in(t, func(t *testing.T) {
		w, l, d := online(t, Options{Policy: func(p *vpn.Policy) {
			p.Settings.Split, p.Settings.Domain = split("192.168.0.0/16"), "corp.example"
		}})
		m := informed(t, l, d)
		if m == nil || m.MessageType() != dhcpv4.MessageTypeAck || m.DomainName() != "corp.example" || len(m.DNS()) != 1 {
			t.Fatalf("answer %v", m)
		}
		if r := m.ClasslessStaticRoute(); len(r) != 1 || r[0].Dest.String() != "192.168.0.0/16" || !r[0].Router.Equal(net.IPv4(10, 83, 0, 1)) {
			t.Errorf("routes %v", r)
		}
		if b := w.Device.Poll(); b != nil {
			t.Errorf("the DHCPINFORM went on to the device: %x", b)
		}
		passes(t, w, l, d, 1)
	})
}

func TestTheMostSpecificSettingsWin(t *testing.T) {
	grant := auth.Grant{Group: "staff"}
	grant.Split = split("10.9.0.0/16")
	in(t, func(t *testing.T) {
		_, l, d := online(t, Options{Backend: backend(grant), Policy: func(p *vpn.Policy) {
			p.Settings.Split, p.Settings.Domain = split("192.168.0.0/16"), "corp.example"
			p.Groups = map[string]auth.Profile{
				"staff": {Settings: auth.Settings{Domain: "staff.example", Split: split("10.8.0.0/16"), DNS: []netip.Addr{netip.MustParseAddr("10.8.0.53")}}},
				"other": {Settings: auth.Settings{Domain: "other.example"}},
			}
		}})
		m := informed(t, l, d)
		if m == nil {
			t.Fatal("no answer")
		}
		if r := m.ClasslessStaticRoute(); len(r) != 1 || r[0].Dest.String() != "10.9.0.0/16" {
			t.Errorf("routes %v, want the user's", r)
		}
		if m.DomainName() != "staff.example" || len(m.DNS()) != 1 || !m.DNS()[0].Equal(net.IPv4(10, 8, 0, 53)) || d.Network.DNS[0] != netip.MustParseAddr("10.8.0.53") {
			t.Errorf("domain %q, DNS %v, by IPCP %v: want the group's", m.DomainName(), m.DNS(), d.Network.DNS)
		}
	})
}

// A user without any list of routes keeps the default route: an empty list in a user
// counts as no list.
func TestAUserWithoutRoutesSendsEverythingThrough(t *testing.T) {
	grant := auth.Grant{}
	grant.Split = []netip.Prefix{}
	in(t, func(t *testing.T) {
		_, l, d := online(t, Options{Backend: backend(grant), Policy: func(p *vpn.Policy) {
			p.Settings.Split, p.Settings.Domain = split("192.168.0.0/16"), "corp.example"
		}})
		m := informed(t, l, d)
		if m == nil || m.DomainName() != "corp.example" {
			t.Fatalf("answer %v", m)
		}
		if m.Options.Has(dhcpv4.OptionClasslessStaticRoute) || m.Options.Has(dhcpv4.GenericOptionCode(249)) {
			t.Errorf("there are routes: %v", m.Summary())
		}
	})
}

func TestWithoutRoutesAndDomainNobodyAnswers(t *testing.T) {
	in(t, func(t *testing.T) {
		w, l, d := online(t, Options{})
		if m := informed(t, l, d); m != nil {
			t.Errorf("answer %v", m.Summary())
		}
		passes(t, w, l, d, 1)
	})
}

func TestTooManyRoutesOfAUserAreSaid(t *testing.T) {
	grant := auth.Grant{}
	for i := range 32 {
		grant.Split = append(grant.Split, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 1, 0}), 24))
	}
	in(t, func(t *testing.T) {
		w := New(t, Options{Backend: backend(grant)})
		if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr); err == nil {
			t.Fatal("connected")
		}
		done := All[vpn.AuthDone](w.Events)
		if len(done) != 1 || done[0].Verdict != auth.NotAllowed || done[0].Detail == "" {
			t.Errorf("events %+v", done)
		}
	})
}
