package pool

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func a(s string) netip.Addr   { return netip.MustParseAddr(s) }
func n(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// office is a plan of pools of each kind, on a host that has networks of its own.
func office() *Plan {
	return &Plan{
		Networks: []Network{
			{n("10.83.0.0/16"), a("10.83.0.1")}, {n("192.168.1.0/24"), a("192.168.1.200")}, // the second is a range of a LAN
			{n("2001:db8:1::/48"), a("2001:db8:1::1")}, {n("2001:db8:f000::/40"), a("2001:db8:1::1")},
		},
		Foreign: []Foreign{
			{Network: n("192.0.2.1/32"), Whose: "the host"}, {Network: n("192.0.2.0/24"), Whose: "the host, on eth0"}, {Network: n("192.168.1.254/32"), Whose: "the gateway"},
			{Network: n("2001:db8:ee::1/128"), Whose: "the host"}, {Network: n("2001:db8:ee::/64"), Whose: "the host, on eth0"},
			{Network: n("172.30.0.0/16"), Whose: "the link office", Link: true}, {Network: n("2001:db8:aa::/48"), Whose: "the link office", Link: true},
		},
		Pool:      Addresses(Prefix(n("10.83.0.0/16")), Range{a("192.168.1.200"), a("192.168.1.250")}),
		Pool6:     Prefixes(64, n("2001:db8:1::/48")),
		Delegate6: Prefixes(56, n("2001:db8:f000::/40")),
	}
}

// Every kind of wish has values that a user can have, and values that nobody can have.
func TestWhatAUserCanHave(t *testing.T) {
	address := func(s string) Wish { return Wish{Address: a(s)} }
	address6 := func(s string) Wish { return Wish{Address6: a(s)} }
	prefix6 := func(s string) Wish { return Wish{Prefix6: n(s)} }
	delegated := func(s string) Wish { return Wish{Delegated: n(s)} }
	route := func(s string) Wish { return Wish{Routes: []netip.Prefix{n(s)}} }
	for _, tt := range []struct {
		wish Wish
		why  string // "": they can
	}{
		{Wish{}, ""},
		{address("10.83.0.2"), ""}, {address("10.83.255.254"), ""}, {address("172.16.0.0"), ""}, {address("192.168.1.7"), ""}, {address("192.0.2.9"), ""},
		{address("10.83.0.0"), "the address of all of the network 10.83.0.0/16"}, {address("10.83.255.255"), "of all of the network"},
		{address("192.168.1.0"), "of all of the network 192.168.1.0/24"}, {address("192.168.1.255"), "of all of the network"},
		{address("10.83.0.1"), "the server's own"}, {address("192.168.1.200"), "the server's own"},
		{address("192.0.2.1"), "an address of the host"}, {address("192.168.1.254"), "an address of the gateway"},
		{address("127.0.0.1"), "not an address that"}, {address("0.1.2.3"), "not an address that"}, {address("224.0.0.1"), "not an address that"},
		{address("169.254.1.1"), "not an address that"}, {address("240.0.0.1"), "not an address that"}, {address("255.255.255.255"), "not an address that"},
		{address("2001:db8:9::1"), "not an address that"}, {address("::ffff:10.83.0.2"), "not an address that"},

		{address6("2001:db8:9::7"), ""}, {address6("2001:db8:1:5::7"), "gives to others"}, {address6("2001:db8:f000::7"), "gives to others"},
		{address6("2001:db8:ee::1"), "an address of the host"}, {address6("2001:db8:ee::2"), ""},
		{address6("fe80::7"), "not an IPv6 address that"}, {address6("ff02::1"), "not an IPv6 address that"}, {address6("10.83.0.2"), "not an IPv6 address that"},

		{prefix6("2001:db8:1:7::/64"), ""}, {prefix6("2001:db8:9::/64"), ""}, {prefix6("2001:db8:9::/56"), "no /64"}, {prefix6("2001:db8:9::/80"), "no /64"},
		{prefix6("2001:db8:1::/64"), "the server's own"}, {prefix6("2001:db8:f000::/64"), "gives to others"}, {prefix6("2001:db8:ee::/64"), "overlaps 2001:db8:ee::1 of the host"},
		{prefix6("fe80::/64"), "not an IPv6 address that"},

		{delegated("2001:db8:f007:100::/56"), ""}, {delegated("2001:db8:9::/48"), ""}, {delegated("2001:db8:f020::/60"), "gives to others"},
		{delegated("2001:db8:f000::/40"), "gives to others"}, {delegated("2001:db8:1:700::/56"), "gives to others"}, {delegated("2001:db8::/32"), "gives to others"},
		{delegated("2001:db8:ee::/48"), "of the host"}, {delegated("fe80::/56"), "not an IPv6 address that"},

		{route("172.16.0.0/24"), ""}, {route("2001:db8:9::/48"), ""}, {route("203.0.113.7/32"), ""},
		{route("0.0.0.0/0"), "none that"}, {route("::/0"), "none that"}, {route("127.0.0.0/8"), "none that"}, {route("224.0.0.0/4"), "none that"}, {route("fe80::/64"), "none that"},
		{route("10.83.7.0/24"), "overlaps network.pool"}, {route("10.0.0.0/8"), "overlaps network.pool"}, {route("192.168.1.128/25"), "overlaps network.pool"},
		{route("2001:db8:1:5::/64"), "overlaps network.pool"}, {route("2001:db8:f000::/56"), "overlaps network.pool"},
		{address("172.30.7.7"), "of the network 172.30.0.0/16 of the link office"}, {address6("2001:db8:aa::7"), "of the link office"},
		{prefix6("2001:db8:aa::/64"), "of the link office"}, {delegated("2001:db8:aa:100::/56"), "of the link office"},
		{route("172.30.5.0/24"), "of the link office"}, {route("172.0.0.0/8"), "of the link office"}, {route("2001:db8:aa:5::/64"), "of the link office"},
		{Wish{Address: a("172.30.7.7"), Link: true}, ""}, {Wish{Address: a("192.0.2.1"), Link: true}, "an address of the host"},

		// What would take a part of the Internet from the host, or what is nobody's.
		{route("128.0.0.0/1"), "wider than"}, {route("64.0.0.0/2"), "wider than"}, {route("12.0.0.0/7"), "wider than"}, {route("11.0.0.0/8"), ""},
		{route("126.0.0.0/7"), "none that"}, {route("169.0.0.0/8"), "none that"}, {route("169.254.169.254/32"), "none that"}, {route("0.0.0.0/8"), "none that"},
		{route("::1/128"), "none that"}, {route("::/96"), "none that"}, {route("2000::/3"), "wider than"}, {route("4000::/15"), "wider than"}, {route("fc00::/7"), ""}, {route("fc00::/6"), "wider than"},
		{route("::ffff:192.0.2.0/120"), "none that"}, {route("::ffff:172.16.0.0/112"), "none that"}, {address6("::ffff:172.16.0.9"), "not an IPv6 address that"},
		{prefix6("::ffff:0:0/64"), "not an IPv6 address that"}, {delegated("::ffff:172.16.0.0/112"), "not an IPv6 address that"},

		{route("192.0.2.0/25"), "of the host"}, {route("192.0.0.0/16"), "of the host"}, {route("2001:db8:ee::/48"), "of the host"},
	} {
		refused := office().Judge(tt.wish)
		switch {
		case tt.why == "" && len(refused) > 0:
			t.Errorf("%+v: %v", tt.wish, refused[0])
		case tt.why != "" && (len(refused) != 1 || !strings.Contains(refused[0].Why, tt.why)):
			t.Errorf("%+v: %v, want %q", tt.wish, refused, tt.why)
		}
	}
}

// A range without a network around it leases what it has, and no more.
func TestARangeOfNoNetwork(t *testing.T) {
	p := &Plan{Networks: []Network{{Server: a("192.168.1.200")}}, Pool: Addresses(Range{a("192.168.1.200"), a("192.168.1.250")})}
	for text, refused := range map[string]bool{"192.168.1.200/32": true, "192.168.1.128/25": true, "192.168.0.0/16": true, "192.168.1.210/32": true, "192.168.1.0/25": false} {
		if got := p.Judge(Wish{Routes: []netip.Prefix{n(text)}}); len(got) > 0 != refused {
			t.Errorf("the route %s: %v", text, got)
		}
	}
}

// Every refusal is returned, with its part. A user without IPv6 is refused only the IPv6
// that is foreign, not what could not be leased.
func TestEveryPartIsJudged(t *testing.T) {
	w := Wish{
		Address: a("10.83.0.1"), Address6: a("2001:db8:1:5::7"), Prefix6: n("2001:db8:9::/48"), Delegated: n("2001:db8:ee::/48"),
		Routes: []netip.Prefix{n("0.0.0.0/0"), n("172.16.0.0/24"), n("10.83.0.0/24")},
	}
	parts := func(w Wish) (list []Part) {
		for _, r := range office().Judge(w) {
			list = append(list, r.Part)
			if !strings.HasPrefix(r.Error(), r.What+" of the user ") {
				t.Errorf("the log has %q", r.Error())
			}
		}
		return list
	}
	want := []Part{PartAddress, PartAddress6, PartPrefix6, PartDelegated, PartRoute, PartRoute}
	if got := parts(w); !slices.Equal(got, want) {
		t.Errorf("refused are the parts %v, want %v", got, want)
	}
	w.Without6, w.Routes = true, nil
	if got := parts(w); !slices.Equal(got, []Part{PartAddress, PartDelegated}) {
		t.Errorf("without IPv6 the parts %v are refused", got)
	}
}
