package app

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

func config6(pool6 ...string) *conf.Config {
	c := conf.Default()
	for _, text := range pool6 {
		c.Network.Pool6 = append(c.Network.Pool6, netip.MustParsePrefix(text))
	}
	return c
}

func TestIPv6PoolsOfAConfiguration(t *testing.T) {
	c := config6("2001:db8:1::/48")
	c.Network.Delegate6 = netip.MustParsePrefix("2001:db8:f000::/40")
	_, links, routers := pools(c, c.Plan())
	for _, tt := range []struct {
		lease func(string, netip.Addr) (netip.Addr, error)
		of    func(netip.Addr) netip.Prefix
		want  string
	}{
		{links.Lease, links.Of, "2001:db8:1:1::/64"}, // the first is the server's
		{routers.Lease, routers.Of, "2001:db8:f000::/56"},
	} {
		if a, err := tt.lease("alice", netip.Addr{}); err != nil || tt.of(a).String() != tt.want {
			t.Errorf("leased %v, %v; want %s", a, err, tt.want)
		}
	}
	if s := server6(c.Plan()); s == nil || s.Server.String() != "2001:db8:1::1" {
		t.Errorf("server %+v", s)
	}
	c = config6("2001:db8:1::/64")
	_, links, _ = pools(c, c.Plan())
	if a, err := links.Lease("alice", netip.Addr{}); err != nil || links.Of(a).String() != "2001:db8:1::2/128" {
		t.Errorf("leased %v, %v", a, err)
	}
	if server6(config6().Plan()) != nil {
		t.Error("there is a server without a pool")
	}
}

func TestIPv6OfTheHost(t *testing.T) {
	c := config6("2001:db8:1::/48")
	c.Network.Delegate6, c.Network.Masquerade6 = netip.MustParsePrefix("2001:db8:f000::/40"), true
	p := plan(c, "adit0")
	if got := fmt.Sprint(p.Addresses); got != "[10.83.0.1/16 2001:db8:1::1/48]" {
		t.Errorf("addresses %s", got)
	}
	if got := fmt.Sprint(p.Routes); got != "[2001:db8:f000::/40]" {
		t.Errorf("routes %s", got)
	}
	if got := fmt.Sprint(p.Addresses[1:], p.Routes); !p.Forward6 || !p.Masquerade6 || got != "[2001:db8:1::1/48] [2001:db8:f000::/40]" {
		t.Errorf("forwards %v, masquerades %s", p.Forward6, got)
	}
	if p := plan(conf.Default(), "adit0"); p.Forward6 || p.Masquerade6 {
		t.Errorf("without IPv6: %+v", p)
	}
}
