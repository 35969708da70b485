package limit

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/packet"
)

func filter(t *testing.T, rules ...string) *Compiled {
	t.Helper()
	f := make(Filter, len(rules))
	for i, text := range rules {
		if err := f[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return f.Compile()
}

// made is an IP packet with a payload, written by hand for what Put does not do.
func made(src, dst string, protocol uint8, payload []byte, change func(b []byte)) []byte {
	a, b := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	p := make([]byte, packet.HeaderLen(a)+len(payload))
	copy(p[packet.HeaderLen(a):], payload)
	packet.Put(p, protocol, 64, a, b)
	if change != nil {
		change(p)
	}
	return p
}

func tcp(from, to uint16, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	b[12], b[13] = 5<<4, flags
	return b
}

func udp(from, to uint16) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint16(b[4:], 12)
	return b
}

// fragmentAt makes an IPv4 packet a fragment at an offset of bytes.
func fragmentAt(offset int) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[6:], uint16(offset/8)) }
}

const (
	client, web   = "10.83.0.2", "192.0.2.80"
	client6, web6 = "2001:db8::2", "2001:db8:80::80"
)

// ext is an IPv6 extension header of 8 bytes in front of b.
func ext(next uint8, b []byte) []byte { return append([]byte{next, 0, 0, 0, 0, 0, 0, 0}, b...) }

func frag6(next uint8, offset int, b []byte) []byte {
	return append([]byte{next, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 7}, b...)
}

func TestWhatAFilterPasses(t *testing.T) {
	onlyWeb := []string{"permit in tcp from any to 192.0.2.0/24 80,443", "permit in tcp from any to 2001:db8:80::/48 443", "permit in udp from any to any 53", "deny in ip from any to any"}
	notOffice := []string{"deny in ip from any to 10.0.0.0/8", "deny in tcp from any to any 25", "deny in udp from any to any 4000-5000"}
	answers := []string{"permit out tcp from any to any established"}
	for name, x := range map[string]struct {
		rules  []string
		out    bool
		b      []byte
		passes bool
	}{
		"no filter":                      {nil, false, made(client, web, packet.TCP, tcp(1, 2, 2), nil), true},
		"a permitted port":               {onlyWeb, false, made(client, web, packet.TCP, tcp(4000, 443, 2), nil), true},
		"another port":                   {onlyWeb, false, made(client, web, packet.TCP, tcp(443, 22, 2), nil), false},
		"another protocol":               {onlyWeb, false, made(client, web, packet.UDP, udp(443, 443), nil), false},
		"another network":                {onlyWeb, false, made(client, "192.0.3.80", packet.TCP, tcp(1, 443, 2), nil), false},
		"DNS anywhere":                   {onlyWeb, false, made(client, "9.9.9.9", packet.UDP, udp(1, 53), nil), true},
		"a direction without rules":      {onlyWeb, true, made(web, client, packet.TCP, tcp(1, 22, 2), nil), true},
		"IPv6":                           {onlyWeb, false, made(client6, web6, packet.TCP, tcp(1, 443, 2), nil), true},
		"IPv6, another port":             {onlyWeb, false, made(client6, web6, packet.TCP, tcp(1, 80, 2), nil), false},
		"after denies all else passes":   {notOffice, false, made(client, web, packet.TCP, tcp(1, 22, 2), nil), true},
		"a denied network":               {notOffice, false, made(client, "10.1.2.3", packet.ICMP, make([]byte, 8), nil), false},
		"a denied port":                  {notOffice, false, made(client, web, packet.TCP, tcp(1, 25, 2), nil), false},
		"a denied range":                 {notOffice, false, made(client, web, packet.UDP, udp(1, 4500), nil), false},
		"beside the range":               {notOffice, false, made(client, web, packet.UDP, udp(1, 5001), nil), true},
		"after permits nothing passes":   {answers, true, made(web, client, packet.UDP, udp(1, 2), nil), false},
		"an answer of TCP":               {answers, true, made(web, client, packet.TCP, tcp(80, 4000, 0x10), nil), true},
		"a reset":                        {answers, true, made(web, client, packet.TCP, tcp(80, 4000, 0x04), nil), true},
		"a new connection":               {answers, true, made(web, client, packet.TCP, tcp(80, 4000, 0x02), nil), false},
		"setup":                          {[]string{"deny out tcp from any to any setup"}, true, made(web, client, packet.TCP, tcp(80, 4000, 0x02), nil), false},
		"setup, established":             {[]string{"deny out tcp from any to any setup"}, true, made(web, client, packet.TCP, tcp(80, 4000, 0x12), nil), true},
		"a later fragment, permitted":    {onlyWeb, false, made(client, web, packet.TCP, tcp(0, 0, 0), fragmentAt(1480)), true},
		"a later fragment of another":    {onlyWeb, false, made(client, "192.0.3.1", packet.TCP, tcp(0, 0, 0), fragmentAt(1480)), false},
		"a later fragment, port denied":  {notOffice, false, made(client, web, packet.TCP, tcp(0, 25, 0), fragmentAt(1480)), true},
		"a tiny first fragment":          {notOffice, false, made(client, web, packet.TCP, tcp(1, 80, 2)[:8], nil), false},
		"one that overwrites flags":      {notOffice, false, made(client, web, packet.TCP, make([]byte, 16), fragmentAt(8)), false},
		"without ports nobody looks":     {[]string{"deny in ip from any to 10.0.0.0/8"}, false, made(client, web, packet.TCP, tcp(1, 80, 2)[:8], nil), true},
		"fragments denied":               {[]string{"deny in ip from any to any frag"}, false, made(client, web, packet.UDP, udp(1, 2), fragmentAt(1480)), false},
		"fragments denied, first":        {[]string{"deny in ip from any to any frag"}, false, made(client, web, packet.UDP, udp(1, 2), nil), true},
		"behind extension headers":       {onlyWeb, false, made(client6, web6, 0, ext(60, ext(packet.TCP, tcp(1, 443, 2))), nil), true},
		"behind them, another port":      {onlyWeb, false, made(client6, web6, 0, ext(60, ext(packet.TCP, tcp(1, 22, 2))), nil), false},
		"a first fragment of IPv6":       {onlyWeb, false, made(client6, web6, 44, frag6(packet.TCP, 1, tcp(1, 443, 2)), nil), true},
		"a later fragment of IPv6":       {onlyWeb, false, made(client6, web6, 44, frag6(packet.TCP, 1448, tcp(0, 0, 0)), nil), true},
		"a later one that hides itself":  {notOffice, false, made(client6, web6, 44, frag6(60, 1448, ext(packet.TCP, tcp(1, 25, 2))), nil), false},
		"a chain that ends too early":    {notOffice, false, made(client6, web6, 0, []byte{60, 9, 0, 0, 0, 0, 0, 0}, nil), false},
		"a chain that is too long":       {notOffice, false, made(client6, web6, 0, ext(60, ext(60, ext(60, ext(60, ext(60, ext(60, ext(60, ext(6, tcp(1, 443, 2))))))))), nil), false},
		"an IPv4 rule and an IPv6 host":  {[]string{"permit in ip from any to 0.0.0.0/0"}, false, made(client6, web6, packet.UDP, udp(1, 2), nil), false},
		"source of the client":           {[]string{"deny out ip from 10.0.0.0/8 to assigned"}, true, made("10.1.1.1", client, packet.UDP, udp(1, 2), nil), false},
		"a source port":                  {[]string{"permit out udp from any 53 to any"}, true, made("9.9.9.9", client, packet.UDP, udp(53, 4000), nil), true},
		"another source port":            {[]string{"permit out udp from any 53 to any"}, true, made("9.9.9.9", client, packet.UDP, udp(54, 53), nil), false},
		"ports of no protocol with them": {[]string{"permit in ip from any to any 80"}, false, made(client, web, 47, make([]byte, 20), nil), false},
	} {
		h, ok := packet.Parse(x.b)
		if !ok {
			t.Fatalf("%s: no packet", name)
		}
		if got := filter(t, x.rules...).Judge(x.out, x.b, &h); got == SourceRouted || (got == Passes) != x.passes {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRulesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{
		"permit in tcp from any to 10.0.0.0/8 443,8000-8010":                "",
		"allow out 6 from assigned to 10.1.2.3/8":                           "permit out tcp from any to 10.0.0.0/8",
		"deny in ip from any to any":                                        "",
		"deny out udp from 2001:db8::/32 53 to 2001:db8:1::1":               "",
		"permit in icmpv6 from any to any":                                  "permit in icmp6 from any to any",
		"permit out tcp from any to any established":                        "",
		"deny in 89 from 10.0.0.1/32 to any frag":                           "deny in 89 from 10.0.0.1 to any frag",
		"permit  in\ttcp from  any to any 0-65535 setup established":        "permit in tcp from any to any 0-65535 established setup",
		"permit in ip from any to 0.0.0.0/0 ":                               "permit in ip from any to 0.0.0.0/0",
		"permit in udp from 10.0.0.0/8 1,2,3,4,5,6,7,8,9,10,11 to any 1-10": "",
	} {
		if want == "" {
			want = text
		}
		var r Rule
		if err := r.UnmarshalText([]byte(text)); err != nil || r.String() != want {
			t.Errorf("%q: %q, %v", text, r, err)
		}
	}
	for text, why := range map[string]string{
		"": "seven words", "permit in tcp from any to": "seven words", "drop in tcp from any to any": "permit or deny", "permit both tcp from any to any": "direction",
		"permit in xyz from any to any": "no protocol", "permit in 256 from any to any": "no protocol", "permit in tcp to any from any": "from",
		"permit in tcp from nowhere to any": "not an address", "permit in tcp from 10.0.0.0/33 to any": "not a network", "permit in tcp from !10.0.0.1 to any": "deny what it excepts",
		"permit in tcp from any to any 70000": "not ports", "permit in tcp from any to any 9-1": "not ports", "permit in icmp from any to any 80": "only tcp and udp",
		"permit in udp from any to any setup": "for tcp", "permit in tcp from any to any 80 frag": "later fragments", "permit in tcp from any to any ipoptions ssrr": "not understood",
		"permit in ip from 10.0.0.1 to ::1": "one end is IPv4", "permit in tcp from any 80 any any": "missing", "permit in tcp from any to any 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17": "not ports",
	} {
		var r Rule
		if err := r.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", text, err, why)
		}
	}
}

func FuzzRule(f *testing.F) {
	for _, text := range []string{"permit in tcp from any to 10.0.0.0/8 443,8000-8010", "deny out ip from 2001:db8::/32 to assigned frag", "allow in 6 from any 1-2 to any setup established"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, again Rule
		if r.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again.String() != r.String() {
			t.Errorf("%q is %q, which is read as %q: %v", text, r, again, err)
		}
	})
}

// Whatever a packet is, a filter that denies everything passes nothing, and none panics.
func FuzzFilter(f *testing.F) {
	f.Add(made(client, web, packet.TCP, tcp(1, 25, 2), nil))
	f.Add(made(client6, web6, 0, ext(60, ext(packet.TCP, tcp(1, 443, 2))), nil))
	f.Add(made(client6, web6, 44, frag6(packet.TCP, 1448, tcp(0, 0, 0)), nil))
	var list [2]Filter
	for i, rules := range [][]string{
		{"permit in tcp from any to any 80 setup", "deny in udp from any 1-20 to any", "permit out tcp from any to any established", "deny in ip from any to any frag"},
		{"deny in ip from any to any"},
	} {
		list[i] = make(Filter, len(rules))
		for j, text := range rules {
			if err := list[i][j].UnmarshalText([]byte(text)); err != nil {
				f.Fatal(err)
			}
		}
	}
	some, none := list[0].Compile(), list[1].Compile()
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := packet.Parse(b)
		if !ok {
			return
		}
		some.Judge(false, b, &h)
		some.Judge(true, b, &h)
		if none.Judge(false, b, &h) == Passes {
			t.Errorf("%x passed", b)
		}
	})
}
