package session

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dhcp"
	"github.com/adit-vpn/adit/internal/packet"
	"github.com/adit-vpn/adit/internal/pool"
)

// dual makes a rig serve IPv6, too.
func dual(r *rig) {
	r.policy.IPv6 = &IPv6{Server: addr("2001:db8::1")}
	r.policy.Networks = append(r.policy.Networks, pool.Network{Prefix: network("2001:db8:1::/48"), Server: addr("2001:db8::1")})
	r.links = pool.Of(pool.Prefixes(64, network("2001:db8:1::/48")))
	r.routers = pool.Of(pool.Prefixes(56, network("2001:db8:2::/48")))
	r.cfg.IPv6 = true
}

func TestIPv6LeadsToTheSessionAndIsAdvertised(t *testing.T) {
	r := newRig(t, dual).start()
	routes := all[Route](r)
	last := routes[len(routes)-1]
	if len(last.Networks) != 3 || last.Networks[0] != network("10.83.0.2/32") || last.Networks[1].Bits() != 64 || last.Networks[2].Bits() != 56 || last.MTU != 1400 {
		t.Fatalf("%+v leads to it", last)
	}
	if one[Up](r).User != user || len(all[Changed](r)) != 1 {
		t.Errorf("a second network is the same session:\n%s", r.story())
	}
	if in := r.s.Info().IPv6; in.Prefix != last.Networks[1] || in.Delegated != last.Networks[2] || in.Interface == [8]byte{} {
		t.Errorf("the session has %+v", in)
	}
	begun := r.now
	for _, want := range []time.Duration{0, 5 * time.Second, 10 * time.Second, 410 * time.Second} {
		r.pass(want - r.now.Sub(begun))
		if len(r.ip) != 1 || r.ip[0][40] != 134 || r.ip[0][7] != 255 {
			t.Fatalf("after %v came %x, want one Router Advertisement", want, r.ip)
		}
		if p, ok := packet.Parse(r.ip[0]); !ok || p.Dst != addr("ff02::1") {
			t.Errorf("it went to %v", p.Dst)
		}
		r.ip = nil
	}
	r.s.Close(r.now, 0)
	r.settle()
	r.pass(time.Hour)
	if len(r.ip) != 0 {
		t.Errorf("after its end came %x", r.ip)
	}
}

// solicitation is a Router Solicitation of the session's client, and its source address.
func (r *rig) solicitation() (b []byte, src netip.Addr) {
	id := r.s.Info().IPv6.Interface
	src = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]})
	b = append(make([]byte, 40), 133, 0, 0, 0, 0, 0, 0, 0)
	packet.PutSum(b[40:], 2, packet.ICMPv6, src, addr("ff02::2"))
	packet.Put(b, packet.ICMPv6, 255, src, addr("ff02::2"))
	return b, src
}

// A client that asks its router gets the answer alone, and at once.
func TestARouterSolicitationIsAnswered(t *testing.T) {
	r := newRig(t, dual).start()
	b, src := r.solicitation()
	r.ip = nil
	if err := r.s.HandleIP(b); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if len(r.ip) != 1 || r.ip[0][40] != 134 {
		t.Fatalf("answers %x, want one Router Advertisement", r.ip)
	}
	if p, ok := packet.Parse(r.ip[0]); !ok || p.Dst != src {
		t.Errorf("it went to %v, want %v", p.Dst, src)
	}
	b[42] ^= 1 // breaks the checksum
	if err := r.s.HandleIP(b); err == nil {
		t.Error("a broken one was answered")
	}
}

// If the IPv6 pools are empty, a session goes without IPv6 and is otherwise unaffected.
func TestNoIPv6IsLeftAndTheSessionComesUp(t *testing.T) {
	r := newRig(t, dual, func(r *rig) { r.links = pool.New(nil) }).start()
	if !r.noted("no IPv6: network.pool6 or network.delegate6") {
		t.Errorf("nobody is told: %+v", all[Note](r))
	}
	if u := one[Up](r); u.Address != addr("10.83.0.2") || u.IPv6 != (auth.IPv6{}) {
		t.Errorf("%+v", u)
	}
	if got := one[Route](r).Networks; !slices.Equal(got, only("10.83.0.2/32")) {
		t.Errorf("%v leads to it", got)
	}
}

// inform is a DHCPINFORM of a client.
func inform(t testing.TB, src netip.Addr) []byte {
	t.Helper()
	m, err := dhcpv4.NewInform(net.HardwareAddr{2, 0, 0, 1, 2, 3}, src.AsSlice(), dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4}),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionDomainName, dhcpv4.OptionDomainNameServer, dhcpv4.OptionClasslessStaticRoute))
	if err != nil {
		t.Fatal(err)
	}
	b := append(make([]byte, 28), m.ToBytes()...)
	u := b[20:]
	binary.BigEndian.PutUint16(u, 68)
	binary.BigEndian.PutUint16(u[2:], 67)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	packet.PutSum(u, 6, packet.UDP, src, addr("255.255.255.255"))
	packet.Put(b, packet.UDP, 64, src, addr("255.255.255.255"))
	return b
}

func TestDHCPINFORMIsAnsweredOnceTheNetworkIsUp(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.policy.Settings.Split, r.policy.Settings.Domain = only("192.168.0.0/16"), "corp.example"
		r.policy.Groups = map[string]auth.Profile{"staff": {Settings: auth.Settings{Domain: "staff.example"}}}
		r.grant.Group = "staff"
	})
	if err := r.s.HandleIP(inform(t, addr("10.83.0.2"))); err != nil || len(r.ip) != 0 {
		t.Errorf("before it is up: %v, %x", err, r.ip)
	}
	r.start()
	if err := r.s.HandleIP(inform(t, addr("10.83.0.2"))); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if len(r.ip) != 1 {
		t.Fatalf("%d answers", len(r.ip))
	}
	m, err := dhcpv4.FromBytes(r.ip[0][28:])
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType() != dhcpv4.MessageTypeAck || m.DomainName() != "staff.example" || !m.DNS()[0].Equal(net.IPv4(9, 9, 9, 9)) || m.ClasslessStaticRoute()[0].Dest.String() != "192.168.0.0/16" {
		t.Errorf("answer %v", m)
	}
	if !r.noted("DHCPINFORM answered") {
		t.Errorf("nobody is told: %+v", all[Note](r))
	}
	broken := inform(t, addr("10.83.0.2"))[:100]
	binary.BigEndian.PutUint16(broken[2:], 100)
	if err := r.s.HandleIP(broken); !errors.Is(err, dhcp.ErrMalformed) {
		t.Errorf("a broken one: %v", err)
	}
}
