package ppp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A router takes the address that it is given, insists on its own, or has none; and it
// accepts what the other end has, or one address alone.
func TestRoutersAgreeOnAddresses(t *testing.T) {
	one, two, other := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.7")
	for name, x := range map[string]struct {
		client Config
		server Network // what the server has, and what it gives
		local  netip.Addr
		peer   netip.Addr // as the client sees them
		why    string     // "": it comes up
	}{
		"taken":                     {Config{}, Network{Local: one, Peer: two}, one, two, ""},
		"its own":                   {Config{Address: two}, Network{Local: one, Peer: two}, one, two, ""},
		"both ends' own":            {Config{Address: two, PeerAddress: one}, Network{Local: one, Peer: two}, one, two, ""},
		"another one":               {Config{Address: other}, Network{Local: one, Peer: two}, one, two, "IPCP: the peer gives us the address 10.9.0.2 in place of 10.9.0.7"},
		"none":                      {Config{Unnumbered: true}, Network{Local: one, Peer: two}, one, netip.Addr{}, ""},
		"neither end":               {Config{Unnumbered: true}, Network{}, netip.Addr{}, netip.Addr{}, ""},
		"the other end has none":    {Config{Address: two}, Network{Peer: two}, netip.Addr{}, two, ""},
		"the other end has another": {Config{Address: two, PeerAddress: other}, Network{Local: one, Peer: two}, netip.Addr{}, two, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := clientConfig("User", "clientPass", MethodMSCHAPv2)
			c.Router, c.Unnumbered, c.Address, c.PeerAddress = true, x.client.Unnumbered, x.client.Address, x.client.PeerAddress
			w := newWire(t, serverConfig(MethodMSCHAPv2), c)
			w.network = &x.server
			w.start()
			up := w.run(3*time.Minute, func() bool { return w.up() || w.down() }) && w.up()
			if up != (x.why == "") {
				t.Fatalf("up is %v:\n%s", up, w.describe())
			}
			if !up {
				for _, e := range w.events[1] {
					if d, ok := e.(Down); ok && !strings.Contains(d.Detail, x.why) {
						t.Errorf("%+v, want %q", d, x.why)
					}
				}
				return
			}
			for _, e := range w.events[1] {
				if e, ok := e.(NetworkUp); ok && (e.Network.Local != x.local || e.Network.Peer != x.peer || e.Network.DNS != nil) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// A router that names no address is not asked to take one: its first request is
// acknowledged, and so is every copy of it.
func TestARouterWithoutAnAddressIsNotAskedToTakeOne(t *testing.T) {
	c := clientConfig("User", "clientPass", MethodMSCHAPv2)
	c.Router, c.Unnumbered = true, true
	w := newWire(t, serverConfig(MethodMSCHAPv2), c)
	w.ends[0].SetRouter(time.Second)
	w.start()
	if !w.run(time.Minute, w.up) {
		t.Fatal(w.describe())
	}
	for _, e := range w.events[0] {
		if n, ok := e.(Note); ok && n.Kind == NoteOptionNaked {
			t.Errorf("%+v", n)
		}
	}
}
