package ndp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/packet"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func router() *Router {
	return &Router{
		LinkLocal: addr("fe80::1"), Global: addr("2001:db8:1::1"), Lifetime: 1800 * time.Second, Other: true, MTU: 1400,
		Prefix: netip.MustParsePrefix("2001:db8:1:7::/64"), Preferred: 2 * time.Hour, Valid: 4 * time.Hour,
		DNS: []netip.Addr{addr("9.9.9.9"), addr("2620:fe::9")}, Domain: "corp.example", Told: 1800 * time.Second,
	}
}

// from builds what a client sends.
func from(t testing.TB, src, dst, icmp string) []byte {
	return message(addr(src), addr(dst), unhex(t, icmp))
}

// body checks a whole packet as every receiver does, and returns its ICMPv6
// message without the checksum.
func body(t testing.TB, b []byte, src, dst string) []byte {
	t.Helper()
	h, ok := packet.Parse(b)
	if !ok || h.Len != len(b) || h.Protocol != packet.ICMPv6 || b[7] != 255 || h.Src != addr(src) || h.Dst != addr(dst) {
		t.Fatalf("%+v: %x; want it from %s to %s", h, b, src, dst)
	}
	icmp := b[40:]
	if packet.Fold(packet.Sum(packet.PseudoSum(h.Src, h.Dst, packet.ICMPv6, len(icmp)), icmp)) != 0 {
		t.Errorf("wrong checksum: %x", b)
	}
	return append(append([]byte{}, icmp[:2]...), icmp[4:]...)
}

func TestWindowsSolicitsARouter(t *testing.T) {
	b, err := router().Answer(from(t, "fe80::1122:3344:5566:7788", "ff02::2", "8500 0000 00000000"))
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, `8600 40 40 0708 00000000 00000000
		0501 0000 00000578
		0304 40 40 00003840 00001c20 00000000 20010db8000100070000000000000000
		1903 0000 00000708 262000fe000000000000000000000009
		1f03 0000 00000708 04 636f7270 07 6578616d706c65 00 0000`)
	got := body(t, b, "fe80::1", "fe80::1122:3344:5566:7788")
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func TestWhoHasNoAddressIsAnsweredToEverybody(t *testing.T) {
	b, err := router().Answer(from(t, "::", "ff02::2", "8500 0000 00000000"))
	if err != nil {
		t.Fatal(err)
	}
	body(t, b, "fe80::1", "ff02::1")
}

func TestSplitTunnelsGetRoutesAndNoDefaultRouter(t *testing.T) {
	r := &Router{LinkLocal: addr("fe80::1"), Managed: true, Other: true, Told: 1800 * time.Second,
		Routes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}}
	want := unhex(t, "8600 40 c0 0000 00000000 00000000 1803 30 00 00000708 20010db8ffff00000000000000000000")
	if got := body(t, r.Advertise(AllNodes), "fe80::1", "ff02::1"); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func TestNeighborsFindTheRouter(t *testing.T) {
	for _, tt := range []struct{ name, src, target, dst, want string }{
		{"our link-local address", "fe80::2", "fe800000000000000000000000000001", "fe80::2", "8800 e0000000 fe800000000000000000000000000001"},
		{"our global address", "2001:db8:1:7::2", "20010db8000100000000000000000001", "2001:db8:1:7::2", "8800 e0000000 20010db8000100000000000000000001"},
		{"is it free?", "::", "fe800000000000000000000000000001", "ff02::1", "8800 a0000000 fe800000000000000000000000000001"},
	} {
		b, err := router().Answer(from(t, tt.src, "ff02::1:ff00:1", "8700 0000 00000000"+tt.target))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		target, _ := netip.AddrFromSlice(unhex(t, tt.target))
		if got, want := body(t, b, target.String(), tt.dst), unhex(t, tt.want); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", tt.name, got, want)
		}
	}
}

func TestTheRouterAnswersPings(t *testing.T) {
	b, err := router().Answer(from(t, "fe80::2", "fe80::1", "8000 0000 00010002 68656c6c6f"))
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, b, "fe80::1", "fe80::2"); !bytes.Equal(got, unhex(t, "8100 00010002 68656c6c6f")) {
		t.Errorf("got %x", got)
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	solicitation := func() []byte { return from(t, "fe80::2", "ff02::2", "8500 0000 00000000") }
	far := solicitation()
	far[7] = 254
	wrong := solicitation()
	wrong[43]++
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"from beyond the link":        {far, ErrMalformed},
		"a wrong checksum":            {wrong, ErrMalformed},
		"a code":                      {from(t, "fe80::2", "ff02::2", "8501 0000 00000000"), ErrMalformed},
		"an option of no length":      {from(t, "fe80::2", "ff02::2", "8500 0000 00000000 0100 000000000000"), ErrMalformed},
		"an option longer than is":    {from(t, "fe80::2", "ff02::2", "8500 0000 00000000 0102 000000000000"), ErrMalformed},
		"a short solicitation":        {from(t, "fe80::2", "fe80::1", "8700 0000 00000000 fe80"), ErrMalformed},
		"a solicitation for another":  {from(t, "fe80::2", "ff02::1:ff00:9", "8700 0000 00000000 fe800000000000000000000000000009"), ErrIgnored},
		"MLD":                         {from(t, "fe80::2", "ff02::16", "8f00 0000 00000000"), ErrIgnored},
		"another router":              {from(t, "fe80::2", "ff02::1", "8600 0000 00000000 00000000 00000000"), ErrIgnored},
		"an echo request to everyone": {from(t, "fe80::2", "ff02::1", "8000 0000 00010002"), ErrIgnored},
		"IPv4":                        {append([]byte{0x45, 0, 0, 20}, make([]byte, 16)...), ErrIgnored},
		"nothing":                     {nil, ErrIgnored},
	} {
		if b, err := router().Answer(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(from(f, "fe80::2", "ff02::2", "8500 0000 00000000"))
	f.Add(from(f, "::", "ff02::1:ff00:1", "8700 0000 00000000 fe800000000000000000000000000001"))
	f.Add(from(f, "fe80::2", "fe80::1", "8000 0000 00010002 68656c6c6f"))
	for _, b := range machinetest.Seeds(f, "ip") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := packet.Parse(b); ok && !h.Is4() && h.Len >= 44 { // the checksum is not an obstacle
			b = append([]byte{}, b...)
			packet.PutSum(b[40:h.Len], 2, packet.ICMPv6, h.Src, h.Dst)
		}
		if r, err := router().Answer(b); err == nil {
			h, ok := packet.Parse(r)
			if !ok || h.Len != len(r) || r[7] != 255 || len(r) > max(1280, len(b)) {
				t.Fatalf("%x", r)
			}
		}
	})
}
