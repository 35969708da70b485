package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/adit-vpn/adit/internal/packet"
)

func settings6() Settings6 {
	return Settings6{
		DUID: DUID("test"), Server: addr("fe80::1"), Address: addr("2001:db8:1::9"), Prefix: netip.MustParsePrefix("2001:db8:2:300::/56"),
		DNS: []netip.Addr{addr("9.9.9.9"), addr("2620:fe::9")}, Domain: "corp.example",
	}
}

var clientDUID = &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 1, 2, 3}}

// from6 puts a client's message into UDP and IPv6.
func from6(src string, m *dhcpv6.Message) []byte {
	b := datagram(clientPort6, serverPort6, addr(src), addr("ff02::1:2"), m.ToBytes())
	b[7] = 1
	return b
}

// message makes a client's message, with a library that the server's code does
// not use.
func message6Of(kind dhcpv6.MessageType, options ...dhcpv6.Option) *dhcpv6.Message {
	m := &dhcpv6.Message{MessageType: kind, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	m.AddOption(dhcpv6.OptElapsedTime(0))
	for _, o := range options {
		m.AddOption(o)
	}
	return m
}

func iaNA(id byte, addrs ...string) *dhcpv6.OptIANA {
	o := &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, id}}
	for _, a := range addrs {
		o.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP(a)})
	}
	return o
}

func iaPD(id byte, prefixes ...string) *dhcpv6.OptIAPD {
	o := &dhcpv6.OptIAPD{IaId: [4]byte{0, 0, 0, id}}
	for _, p := range prefixes {
		_, n, _ := net.ParseCIDR(p)
		o.Options.Add(&dhcpv6.OptIAPrefix{Prefix: n})
	}
	return o
}

func ask(t *testing.T, s Settings6, m *dhcpv6.Message) *dhcpv6.Message {
	t.Helper()
	b, err := Answer6(from6("fe80::2", m), s)
	if err != nil {
		t.Fatalf("%v: %v", m.MessageType, err)
	}
	h, ok := packet.Parse(b)
	if !ok || h.Src != addr("fe80::1") || h.Dst != addr("fe80::2") || h.Len != len(b) {
		t.Fatalf("%+v", h)
	}
	u := b[40:]
	if packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, packet.UDP, len(u)), u)) != 0 || binary.BigEndian.Uint32(u) != 547<<16|546 {
		t.Errorf("UDP header %x", u[:8])
	}
	r, err := dhcpv6.MessageFromBytes(u[8:])
	if err != nil {
		t.Fatal(err)
	}
	if r.TransactionID != m.TransactionID || !bytes.Equal(r.Options.ServerID().ToBytes(), DUID("test")) {
		t.Errorf("transaction %v, server %v", r.TransactionID, r.Options.ServerID())
	}
	return r
}

func TestAClientGetsItsAddressAndItsPrefix(t *testing.T) {
	client, server := dhcpv6.OptClientID(clientDUID), serverID(t)
	for _, step := range []struct {
		m    *dhcpv6.Message
		want dhcpv6.MessageType
	}{
		{message6Of(dhcpv6.MessageTypeSolicit, client, iaNA(1), iaPD(2)), dhcpv6.MessageTypeAdvertise},
		{message6Of(dhcpv6.MessageTypeSolicit, client, iaNA(1), iaPD(2), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}), dhcpv6.MessageTypeReply},
		{message6Of(dhcpv6.MessageTypeRequest, client, server, iaNA(1, "2001:db8:1::9"), iaPD(2)), dhcpv6.MessageTypeReply},
		{message6Of(dhcpv6.MessageTypeRenew, client, server, iaNA(1, "2001:db8:1::9"), iaPD(2, "2001:db8:2:300::/56")), dhcpv6.MessageTypeReply},
		{message6Of(dhcpv6.MessageTypeRebind, client, iaNA(1, "2001:db8:1::9"), iaPD(2)), dhcpv6.MessageTypeReply},
	} {
		r := ask(t, settings6(), step.m)
		if r.MessageType != step.want || !r.Options.ClientID().Equal(clientDUID) {
			t.Errorf("%v: got %v for %v", step.m.MessageType, r.MessageType, r.Options.ClientID())
		}
		na, pd := r.Options.OneIANA(), r.Options.OneIAPD()
		if na == nil || na.IaId != [4]byte{0, 0, 0, 1} || na.T1 != time.Hour || na.T2 != 96*time.Minute {
			t.Fatalf("%v: %v", step.m.MessageType, na)
		}
		if a := na.Options.OneAddress(); a == nil || a.IPv6Addr.String() != "2001:db8:1::9" || a.PreferredLifetime != Preferred6 || a.ValidLifetime != Valid6 {
			t.Errorf("%v: %v", step.m.MessageType, a)
		}
		if p := pd.Options.Prefixes(); len(p) != 1 || p[0].Prefix.String() != "2001:db8:2:300::/56" || pd.IaId != [4]byte{0, 0, 0, 2} || p[0].ValidLifetime != Valid6 {
			t.Errorf("%v: %v", step.m.MessageType, pd)
		}
		if dns := r.Options.DNS(); len(dns) != 1 || dns[0].String() != "2620:fe::9" || r.Options.DomainSearchList().Labels[0] != "corp.example" {
			t.Errorf("%v: %v, %v", step.m.MessageType, dns, r.Options.DomainSearchList())
		}
	}
}

func serverID(t *testing.T) dhcpv6.Option {
	t.Helper()
	d, err := dhcpv6.DUIDFromBytes(DUID("test"))
	if err != nil {
		t.Fatal(err)
	}
	return dhcpv6.OptServerID(d)
}

func TestWhoHasNoAddressToGiveSaysSo(t *testing.T) {
	s := settings6()
	s.Address, s.Prefix = netip.Addr{}, netip.Prefix{}
	client := dhcpv6.OptClientID(clientDUID)
	r := ask(t, s, message6Of(dhcpv6.MessageTypeSolicit, client, iaNA(1), iaPD(2)))
	if st := r.Options.OneIANA().Options.Status(); st == nil || st.StatusCode != iana.StatusNoAddrsAvail {
		t.Errorf("IA_NA: %v", st)
	}
	if st := r.Options.OneIAPD().Options.Status(); st == nil || st.StatusCode != iana.StatusNoPrefixAvail {
		t.Errorf("IA_PD: %v", st)
	}
	r = ask(t, s, message6Of(dhcpv6.MessageTypeRebind, client, iaNA(1, "2001:db8:1::9")))
	if st := r.Options.OneIANA().Options.Status(); st == nil || st.StatusCode != iana.StatusNoBinding {
		t.Errorf("Rebind: %v", st)
	}
}

func TestWhatIsNoLongerTheClientsGoesBackWithoutLife(t *testing.T) {
	r := ask(t, settings6(), message6Of(dhcpv6.MessageTypeRenew, dhcpv6.OptClientID(clientDUID), serverID(t), iaNA(1, "2001:db8:1::5"), iaPD(2, "2001:db8:2:500::/56")))
	lives := map[string]time.Duration{}
	for _, a := range r.Options.OneIANA().Options.Addresses() {
		lives[a.IPv6Addr.String()] = a.ValidLifetime
	}
	for _, p := range r.Options.OneIAPD().Options.Prefixes() {
		lives[p.Prefix.String()] = p.ValidLifetime
	}
	if len(lives) != 4 || lives["2001:db8:1::9"] != Valid6 || lives["2001:db8:1::5"] != 0 || lives["2001:db8:2:300::/56"] != Valid6 || lives["2001:db8:2:500::/56"] != 0 {
		t.Errorf("%v", lives)
	}
}

func TestOtherMessages(t *testing.T) {
	client, server := dhcpv6.OptClientID(clientDUID), serverID(t)
	if r := ask(t, settings6(), message6Of(dhcpv6.MessageTypeInformationRequest)); r.MessageType != dhcpv6.MessageTypeReply || len(r.Options.DNS()) != 1 || r.Options.OneIANA() != nil {
		t.Errorf("Information-request: %v", r)
	}
	for name, want := range map[string]iana.StatusCode{"2001:db8:1::9": iana.StatusSuccess, "2001:db8:1::5": iana.StatusNotOnLink} {
		if r := ask(t, settings6(), message6Of(dhcpv6.MessageTypeConfirm, client, iaNA(1, name))); r.Options.Status() == nil || r.Options.Status().StatusCode != want {
			t.Errorf("Confirm of %s: %v", name, r)
		}
	}
	for _, kind := range []dhcpv6.MessageType{dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline} {
		if r := ask(t, settings6(), message6Of(kind, client, server, iaNA(1, "2001:db8:1::9"))); r.Options.Status() == nil || r.Options.Status().StatusCode != iana.StatusSuccess {
			t.Errorf("%v: %v", kind, r)
		}
	}
}

func TestDHCPv6ThatIsNotAnswered(t *testing.T) {
	client, server := dhcpv6.OptClientID(clientDUID), serverID(t)
	other := dhcpv6.OptServerID(clientDUID)
	cut := from6("fe80::2", message6Of(dhcpv6.MessageTypeSolicit, client, iaNA(1)))
	cut[len(cut)-13] = 99 // the option's length
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"a Solicit without client":    {from6("fe80::2", message6Of(dhcpv6.MessageTypeSolicit, iaNA(1))), ErrMalformed},
		"a Solicit to a server":       {from6("fe80::2", message6Of(dhcpv6.MessageTypeSolicit, client, server, iaNA(1))), ErrMalformed},
		"a Request to another server": {from6("fe80::2", message6Of(dhcpv6.MessageTypeRequest, client, other, iaNA(1))), ErrIgnored},
		"a Request to nobody":         {from6("fe80::2", message6Of(dhcpv6.MessageTypeRequest, client, iaNA(1))), ErrIgnored},
		"a Confirm of nothing":        {from6("fe80::2", message6Of(dhcpv6.MessageTypeConfirm, client, iaNA(1))), ErrIgnored},
		"information and addresses":   {from6("fe80::2", message6Of(dhcpv6.MessageTypeInformationRequest, iaNA(1))), ErrMalformed},
		"a server's message":          {from6("fe80::2", message6Of(dhcpv6.MessageTypeAdvertise, client, server)), ErrIgnored},
		"from a global address":       {from6("2001:db8::2", message6Of(dhcpv6.MessageTypeSolicit, client, iaNA(1))), ErrIgnored},
		"an option longer than is":    {cut, ErrMalformed},
		"IPv4 to port 547":            {datagram(546, 547, addr("10.83.0.2"), addr("10.83.0.1"), []byte{1, 1, 2, 3}), ErrIgnored},
		"three bytes":                 {datagram(546, 547, addr("fe80::2"), addr("ff02::1:2"), []byte{1, 1, 2}), ErrMalformed},
		"another port":                {datagram(546, 548, addr("fe80::2"), addr("ff02::1:2"), []byte{1, 1, 2, 3}), ErrIgnored},
	} {
		if b, err := Answer6(c.b, settings6()); !errors.Is(err, c.want) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

func FuzzAnswer6(f *testing.F) {
	client := dhcpv6.OptClientID(clientDUID)
	f.Add(message6Of(dhcpv6.MessageTypeSolicit, client, iaNA(1), iaPD(2)).ToBytes())
	f.Add(message6Of(dhcpv6.MessageTypeRebind, client, iaNA(1, "2001:db8:1::9"), iaPD(2, "2001:db8:2:300::/56")).ToBytes())
	f.Add(message6Of(dhcpv6.MessageTypeInformationRequest).ToBytes())
	f.Fuzz(func(t *testing.T, m []byte) {
		if len(m) > 1300 {
			return
		}
		if b, err := Answer6(datagram(546, 547, addr("fe80::2"), addr("ff02::1:2"), m), settings6()); err == nil {
			// RFC 8415, section 11: a DUID is opaque, and returned as it came. What
			// the other implementation cannot read of it is the client's.
			if _, err := dhcpv6.MessageFromBytes(m); err != nil {
				return
			}
			if _, err := dhcpv6.MessageFromBytes(b[48:]); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
		}
	})
}
