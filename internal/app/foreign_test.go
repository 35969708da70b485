package app

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/pool"
)

// Two local users whose own addresses or prefixes overlap, in whatever way, are an error
// that names both; neighbours and what is within one user's own are none.
func TestUsersWhoOverlapAreFound(t *testing.T) {
	around := []conf.User{{Address6: netip.MustParseAddr("2001:db8:9:1::9")}, {Prefix6: netip.MustParsePrefix("2001:db8:9:1::/64")}, {Delegated6: netip.MustParsePrefix("2001:db8:9::/48")}, {Delegated6: netip.MustParsePrefix("2001:db8:9:1::/64")}}
	pairs := [][2]conf.User{{{Address: netip.MustParseAddr("10.83.7.7")}, {Address: netip.MustParseAddr("10.83.7.7")}}}
	for _, one := range around {
		for _, another := range around {
			pairs = append(pairs, [2]conf.User{one, another})
		}
	}
	for _, p := range pairs {
		one, another := p[0], p[1]
		one.Name, another.Name = "alice", "bob"
		// between them in the order of addresses, and overlapping neither
		apart := conf.User{Name: "carol", Address: netip.MustParseAddr("10.83.7.8"), Address6: netip.MustParseAddr("2001:db8:8::1"), Delegated6: netip.MustParsePrefix("2001:db8:a::/48")}
		list := CheckOverlaps(&conf.Config{Users: []conf.User{one, apart, another}})
		if len(list) != 1 || list[0].Err == nil {
			t.Errorf("%+v and %+v: %v", one, another, list)
			continue
		}
		if text := fmt.Sprint(list[0].What, list[0].Err); !strings.Contains(text, `"alice"`) || !strings.Contains(text, `"bob"`) || strings.Contains(text, "carol") {
			t.Errorf("%+v and %+v: %s", one, another, text)
		}
	}
	own := conf.User{Name: "alice", Prefix6: netip.MustParsePrefix("2001:db8:9:1::/64"), Address6: netip.MustParseAddr("2001:db8:9:1::9")}
	if list := CheckOverlaps(&conf.Config{Users: []conf.User{own}}); len(list) != 0 {
		t.Errorf("one user overlaps with nobody, and yet: %v", list)
	}
}

// Servers of RADIUS are foreign to users, those for accounting alone, too.
func TestRADIUSServersAreForeign(t *testing.T) {
	c := &conf.Config{Auth: conf.Auth{Backend: "radius"}, Radius: conf.Radius{Servers: []conf.RadiusServer{{Address: read[conf.HostPort](t, "172.20.0.53:1812")[0], Accounting: read[conf.HostPort](t, "[2001:db8::53]:1813")[0]}}}}
	found := map[netip.Prefix]bool{}
	for _, f := range foreign(t.Context(), c) {
		found[f.Network] = strings.Contains(f.Whose, "RADIUS")
	}
	if !found[netip.MustParsePrefix("172.20.0.53/32")] || !found[netip.MustParsePrefix("2001:db8::53/128")] {
		t.Errorf("found %v", found)
	}
}

// Nobody gets what a link or a tunnel leads to, nor where its other end is reached; the whole of
// the Internet is left to those whose part of it is theirs.
func TestWhatLinksLeadToIsForeign(t *testing.T) {
	p := netip.MustParsePrefix
	c := &conf.Config{
		Links: []conf.Link{
			{Name: "office", Remote: read[conf.Host](t, "203.0.113.9"), Routes: []netip.Prefix{p("172.20.0.0/16"), p("0.0.0.0/0")}, PeerAddress: netip.MustParseAddr("10.99.0.2")},
		},
		Tunnels: []conf.Tunnel{
			{Name: "lab", Remote: read[conf.Host](t, "2001:db8::9")[0], Routes: []netip.Prefix{p("2001:db8:aa::/48")}, PeerAddress6: netip.MustParseAddr("fe80::2")},
		},
	}
	plan := pool.Plan{Foreign: foreign(t.Context(), c)}
	for text, whose := range map[string]string{
		"172.20.0.0/16": "office", "172.20.7.0/24": "office", "172.16.0.0/12": "office", "203.0.113.0/24": "office", "203.0.113.9/32": "office", "10.99.0.2/32": "office",
		"2001:db8:aa:1::/64": "lab", "2001:db8::/64": "lab", "198.18.9.0/24": "", "198.19.0.0/16": "", "2001:db8:ab::/48": "",
	} {
		route := p(text)
		wishes := []pool.Wish{{Routes: []netip.Prefix{route}}}
		if route.Addr().Is4() {
			wishes = append(wishes, pool.Wish{Address: route.Addr()})
		}
		for _, w := range wishes {
			refused := plan.Judge(w)
			if whose == "" && len(refused) > 0 || whose != "" && route.IsSingleIP() && len(refused) != 1 {
				t.Errorf("%+v: %v, want %q", w, refused, whose)
			}
			if len(w.Routes) > 0 && whose != "" && (len(refused) != 1 || !strings.Contains(refused[0].Why, `"`+whose+`"`)) {
				t.Errorf("%+v: %v, want %q", w, refused, whose)
			}
		}
		if own := plan.Judge(pool.Wish{Address: netip.MustParseAddr("172.20.0.9"), Link: true}); len(own) > 0 {
			t.Errorf("the link itself: %v", own)
		}
	}
}
