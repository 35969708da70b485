package dhcp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/packet"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func settings() Settings {
	return Settings{
		Server: addr("10.83.0.1"), Client: addr("10.83.0.2"), Bits: 16,
		DNS: []netip.Addr{addr("9.9.9.9"), addr("2620:fe::9"), addr("149.112.112.112")}, Domain: "corp.example",
		Routes: prefixes("192.168.7.0/24", "2001:db8::/32", "172.16.0.0/12", "10.9.8.7/32"), MTU: 1400,
	}
}

// bootRequest is a BOOTREQUEST as clients build it, in UDP and IP from the leased
// address to everybody.
func bootRequest(t testing.TB, src, ciaddr string, htype, hlen byte, xid uint32, options string, padded int) []byte {
	t.Helper()
	m := make([]byte, 236, 600)
	m[0], m[1], m[2] = 1, htype, hlen
	binary.BigEndian.PutUint32(m[4:], xid)
	m[8], m[9] = 0, 3 // secs
	copy(m[12:], addr(ciaddr).AsSlice())
	copy(m[28:], []byte{0xde, 0xad, 0xbe, 0xef, 1, 2})
	m = append(m, unhex(t, "63825363"+options)...)
	for len(m) < padded {
		m = append(m, 0)
	}
	b := make([]byte, 28, 28+len(m))
	b = append(b, m...)
	u := b[20:]
	binary.BigEndian.PutUint16(u, 68)
	binary.BigEndian.PutUint16(u[2:], 67)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	packet.Put(b, packet.UDP, 128, addr(src), addr("255.255.255.255"))
	return b
}

// apple is what macOS sends right after IPCP: UDP without a checksum, options
// 53, 61, and 55 with 6, 44, 43, 249 and 15.
func apple(t testing.TB) []byte {
	return bootRequest(t, "10.83.0.2", "10.83.0.2", 8, 6, 1, "350108 3d07 08000000010000 3705 062c2bf90f ff", 0)
}

// windows is what Windows sends, 300 bytes of BOOTP.
func windows(t testing.TB) []byte {
	return bootRequest(t, "10.83.0.2", "10.83.0.2", 8, 6, 0x12345678,
		"350108 3d07 08deadbeef0102 0c04 4c41 5054 3c08 4d53465420352e30 370c 010f 0306 2c2e 2f1f 21 79 f9 2b ff", 300)
}

// parts splits an answer, and checks what every receiver checks.
func parts(t *testing.T, b []byte) (h packet.IP, ports [2]uint16, message []byte) {
	t.Helper()
	h, ok := packet.Parse(b)
	if !ok || h.Len != len(b) || packet.Checksum(b[:20]) != 0 {
		t.Fatalf("no IPv4 packet: %x", b)
	}
	u := b[20:]
	if packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, packet.UDP, len(u)), u)) != 0 || binary.BigEndian.Uint16(u[6:]) == 0 {
		t.Errorf("the UDP checksum %x is wrong or absent", u[6:8])
	}
	return h, [2]uint16{binary.BigEndian.Uint16(u), binary.BigEndian.Uint16(u[2:])}, u[8:]
}

func TestAppleIsAnsweredByteForByte(t *testing.T) {
	b, err := Inform(apple(t), settings())
	if err != nil {
		t.Fatal(err)
	}
	h, ports, m := parts(t, b)
	if h.Src != addr("10.83.0.1") || h.Dst != addr("10.83.0.2") || ports != [2]uint16{67, 68} {
		t.Errorf("from %v:%d to %v:%d", h.Src, ports[0], h.Dst, ports[1])
	}
	// BOOTREPLY with xid, ciaddr and hardware address as they came; no yiaddr,
	// siaddr, secs.
	want := append(unhex(t, "02080600 00000001 00000000 0a530002 00000000 00000000 00000000 deadbeef0102"), make([]byte, 202)...)
	if !bytes.Equal(m[:236], want) {
		t.Errorf("fixed part\n%x, want\n%x", m[:236], want)
	}
	// The message type first; then the server, domain, name servers, and routes
	// in option 249: 121 was not asked for, nor was a mask.
	wantOptions := unhex(t, `63825363 350105 36040a530001 0f0c636f72702e6578616d706c65 060809090909 95707070
		f918 18c0a8070a530001 0cac100a530001 200a0908070a530001 ff`)
	if !bytes.HasPrefix(m[236:], wantOptions) {
		t.Errorf("options\n%x, want\n%x", m[236:], wantOptions)
	}
	if rest := m[236+len(wantOptions):]; len(m) != 300 || len(bytes.Trim(rest, "\x00")) != 0 {
		t.Errorf("%d bytes, ending in %x", len(m), rest)
	}
}

// An independent decoder reads the same.
func TestWindowsGetsBothFormsOfTheRoutes(t *testing.T) {
	b, err := Inform(windows(t), settings())
	if err != nil {
		t.Fatal(err)
	}
	_, _, m := parts(t, b)
	r, err := dhcpv4.FromBytes(m)
	if err != nil {
		t.Fatal(err)
	}
	if r.MessageType() != dhcpv4.MessageTypeAck || !r.YourIPAddr.IsUnspecified() || !r.ClientIPAddr.Equal(net.IPv4(10, 83, 0, 2)) || r.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
		t.Errorf("%v", r.Summary())
	}
	if r.DomainName() != "corp.example" || len(r.DNS()) != 2 || r.SubnetMask().String() != "ffff0000" || r.TransactionID != [4]byte{0x12, 0x34, 0x56, 0x78} {
		t.Errorf("%v", r.Summary())
	}
	routes := r.ClasslessStaticRoute()
	if len(routes) != 3 || routes[1].Dest.String() != "172.16.0.0/12" || !routes[1].Router.Equal(net.IPv4(10, 83, 0, 1)) {
		t.Errorf("routes %v", routes)
	}
	if m := r.Options.Get(dhcpv4.GenericOptionCode(249)); !bytes.Equal(m, r.Options.Get(dhcpv4.OptionClasslessStaticRoute)) {
		t.Errorf("option 249 is %x", m)
	}
}

func TestWhatIsToldDependsOnWhatIsAskedAndWhatThereIs(t *testing.T) {
	noRoutes := settings()
	noRoutes.Routes = nil
	for name, c := range map[string]struct {
		options string
		with    Settings
		want    []uint8
		not     []uint8
	}{
		"routes are not asked for": {"350108 3703 01060f ff", settings(), []uint8{53, 54, 1, 6, 15}, []uint8{121, 249}},
		"only 121 is asked for":    {"350108 3701 79 ff", settings(), []uint8{53, 54, 121}, []uint8{249, 15, 6, 1}},
		"no list: everything":      {"350108 ff", settings(), []uint8{53, 54, 1, 6, 15, 121, 249}, nil},
		"everything goes through":  {"350108 3705 062c2bf90f ff", noRoutes, []uint8{53, 54, 6, 15}, []uint8{121, 249}},
	} {
		b, err := Inform(bootRequest(t, "0.0.0.0", "10.83.0.2", 8, 6, 9, c.options, 0), c.with)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, _, m := parts(t, b)
		r, err := dhcpv4.FromBytes(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range c.want {
			if !r.Options.Has(dhcpv4.GenericOptionCode(code)) {
				t.Errorf("%s: option %d is missing", name, code)
			}
		}
		for _, code := range c.not {
			if r.Options.Has(dhcpv4.GenericOptionCode(code)) {
				t.Errorf("%s: option %d is there", name, code)
			}
		}
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	nothing := settings()
	nothing.Routes, nothing.Domain = prefixes("2001:db8::/32"), ""
	for name, c := range map[string]struct {
		b    []byte
		with Settings
		want error
	}{
		"DHCPDISCOVER":                   {bootRequest(t, "0.0.0.0", "0.0.0.0", 1, 6, 1, "350101 ff", 0), settings(), ErrIgnored},
		"plain BOOTP":                    {bootRequest(t, "0.0.0.0", "0.0.0.0", 1, 6, 1, "ff", 0), settings(), ErrIgnored},
		"nothing to tell":                {apple(t), nothing, ErrIgnored},
		"another's ciaddr":               {bootRequest(t, "10.83.0.2", "10.83.0.9", 8, 6, 1, "350108 ff", 0), settings(), ErrIgnored},
		"another's source":               {bootRequest(t, "10.83.0.9", "10.83.0.2", 8, 6, 1, "350108 ff", 0), settings(), ErrIgnored},
		"without the magic cookie":       {apple(t)[:20+8+236], settings(), ErrMalformed},
		"an option longer than the rest": {bootRequest(t, "10.83.0.2", "10.83.0.2", 8, 6, 1, "350108 37ff", 0), settings(), ErrMalformed},
	} {
		if b, err := Inform(c.b, c.with); !errors.Is(err, c.want) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

// A client that names no size must accept only 576 bytes: then option 249 alone carries
// the routes. A client that accepts more gets both.
func TestLongRoutesAreNotSaidTwiceToThoseWhoTakeLittle(t *testing.T) {
	s := settings()
	s.Routes, s.Domain = nil, "example"
	for i := range 31 {
		s.Routes = append(s.Routes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 1, 0}), 24))
	}
	if n := RoutesLen(s.Routes); n > MaxRoutes {
		t.Fatalf("%d bytes of routes", n)
	}
	for options, both := range map[string]bool{"350108 3705 01060f79f9 ff": false, "350108 3705 01060f79f9 3902 0578 ff": true} {
		b, err := Inform(bootRequest(t, "10.83.0.2", "10.83.0.2", 8, 6, 1, options, 0), s)
		if err != nil {
			t.Fatal(err)
		}
		_, _, m := parts(t, b)
		r, err := dhcpv4.FromBytes(m)
		if err != nil {
			t.Fatal(err)
		}
		if has := r.Options.Has(dhcpv4.OptionClasslessStaticRoute); has != both || !both && len(b) > 576 {
			t.Errorf("121 is there: %v; %d bytes", has, len(b))
		}
		if n := len(r.Options.Get(dhcpv4.GenericOptionCode(249))); n != 31*8 {
			t.Errorf("option 249 has %d bytes", n)
		}
	}
}

func FuzzInform(f *testing.F) {
	f.Add(apple(f))
	f.Add(windows(f))
	for _, b := range machinetest.Seeds(f, "ip") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Inform(b, settings()); err == nil {
			if _, _, m := parts(t, r); !bytes.Equal(m[236:243], unhex(t, "63825363 350105")) || len(r) > 1400 {
				t.Fatalf("%x", r)
			}
		}
	})
}
