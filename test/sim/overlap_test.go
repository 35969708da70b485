package sim

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// grants are what each user is granted; all users have one password.
type grants map[string]auth.Grant

func (g grants) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	resp, err := auth.NewLocal([]auth.User{{Name: r.User, Password: secret.String(Password)}}).Authenticate(ctx, r)
	if resp.Verdict == auth.Accepted {
		resp.Grant = g[r.User]
		resp.Grant.User = r.User
	}
	return resp, err
}

// had is something that a user can have inside the VPN.
type had struct {
	name  string
	grant auth.Grant
}

func routed(text string) had {
	return had{"route " + text, auth.Grant{Routes: []netip.Prefix{netip.MustParsePrefix(text)}}}
}

// around4 and around6 all contain one common address, so no two users can have any two of
// them.
var (
	around4 = []had{
		{"address", auth.Grant{Address: netip.MustParseAddr("172.16.5.5")}},
		routed("172.16.5.0/24"), routed("172.16.0.0/16"), routed("172.16.5.0/28"), routed("172.16.5.5/32"),
	}
	around6 = []had{
		{"address", auth.Grant{IPv6: auth.IPv6{Address: netip.MustParseAddr("2001:db8:9:1::9")}}},
		{"prefix", auth.Grant{IPv6: auth.IPv6{Prefix: netip.MustParsePrefix("2001:db8:9:1::/64")}}},
		{"delegated", auth.Grant{IPv6: auth.IPv6{Delegated: netip.MustParsePrefix("2001:db8:9::/48")}}},
		{"delegated, narrower", auth.Grant{IPv6: auth.IPv6{Delegated: netip.MustParsePrefix("2001:db8:9:1::/64")}}},
		routed("2001:db8:8::/47"), routed("2001:db8:9:1::/64"), routed("2001:db8:9:1::/96"), routed("2001:db8:9:1::9/128"),
	}
)

// refused fails the test unless the last verdict is a refusal whose reason contains all
// of these words.
func refused(t *testing.T, w *World, what string, words ...string) {
	t.Helper()
	done := All[vpn.AuthDone](w.Events)
	last := done[len(done)-1]
	if last.Verdict != auth.NotAllowed {
		t.Errorf("%s: %v", what, last.Verdict)
	}
	for _, word := range words {
		if !strings.Contains(last.Detail, word) {
			t.Errorf("%s: the reason %q does not name %s", what, last.Detail, word)
		}
	}
}

// overlaps connects alice with one grant, and then bob with another. bob is refused while
// alice is connected.
func overlaps(t *testing.T, first, second auth.Grant, what string) {
	t.Helper()
	in(t, func(t *testing.T) {
		w := New(t, with6(Options{Backend: grants{"alice": first, "bob": second}}))
		alice := connect6(t, w, "198.51.100.7")
		before := w.Pool.InUse()
		bob := w.Laptop(w.Net.Host("198.51.100.8"), nil)
		if _, err := bob.ConnectAs(ServerAddr, "bob", Password); err == nil {
			t.Errorf("%s: bob is in", what)
		}
		refused(t, w, what, `"alice"`, `"bob"`)
		if n := w.Pool.InUse(); n != before {
			t.Errorf("%s: %d addresses stay leased", what, n-before)
		}
		passes(t, w, alice.l, alice.d, 1)
		alice.d.Close()
		time.Sleep(10 * time.Second)
		if _, err := bob.ConnectAs(ServerAddr, "bob", Password); err != nil {
			t.Errorf("%s: after alice has left: %v", what, err)
		}
	})
}

// A user who has an address or a network keeps it while connected: no other user gets the
// same one, a part of it, or a network that contains it, by whatever attribute.
func TestNobodyTakesWhatAnotherUserHas(t *testing.T) {
	for family, all := range map[string][]had{"IPv4": around4, "IPv6": around6} {
		for _, one := range all {
			for _, another := range all {
				t.Run(fmt.Sprintf("%s %s, then %s", family, one.name, another.name), func(t *testing.T) {
					overlaps(t, one.grant, another.grant, one.name+" and "+another.name)
				})
			}
		}
	}
	for name, second := range map[string]auth.Grant{
		"an address that the pool leased":         {Address: netip.MustParseAddr("10.83.0.2")},
		"a prefix that the pool leased":           {IPv6: auth.IPv6{Prefix: netip.MustParsePrefix("2001:db8:1:1::/64")}},
		"a delegated prefix that the pool leased": {IPv6: auth.IPv6{Delegated: netip.MustParsePrefix("2001:db8:f000::/56")}},
	} {
		t.Run(name, func(t *testing.T) { overlaps(t, auth.Grant{}, second, name) })
	}
}

// With network.on_conflict = "end" who has an address by name has it although a pool has given it
// to somebody else, whose session ends, and who gets another one. What somebody else has by name
// stays theirs.
func TestWhoHasAnAddressByNameGetsItFromAPool(t *testing.T) {
	leased := netip.MustParseAddr("10.83.0.2")
	for name, x := range map[string]struct {
		alice, bob auth.Grant
		yields     bool
	}{
		"an address":         {auth.Grant{}, auth.Grant{Address: leased}, true},
		"a prefix":           {auth.Grant{}, auth.Grant{IPv6: auth.IPv6{Prefix: netip.MustParsePrefix("2001:db8:1:1::/64")}}, true},
		"a delegated prefix": {auth.Grant{}, auth.Grant{IPv6: auth.IPv6{Delegated: netip.MustParsePrefix("2001:db8:f000::/56")}}, true},
		"all of them": {auth.Grant{}, auth.Grant{Address: leased, IPv6: auth.IPv6{
			Prefix: netip.MustParsePrefix("2001:db8:1:1::/64"), Delegated: netip.MustParsePrefix("2001:db8:f000::/56")}}, true},
		"a named address": {auth.Grant{Address: leased}, auth.Grant{Address: leased}, false},
		"a leased address and a named prefix": {auth.Grant{IPv6: auth.IPv6{Prefix: netip.MustParsePrefix("2001:db8:1:1::/64")}},
			auth.Grant{Address: leased, IPv6: auth.IPv6{Prefix: netip.MustParsePrefix("2001:db8:1:1::/64")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := with6(Options{Backend: grants{"alice": x.alice, "bob": x.bob}, Policy: func(p *vpn.Policy) { p.Preempt = true }})
				w := New(t, o)
				alice := connect6(t, w, "198.51.100.7")
				bob := w.Laptop(w.Net.Host("198.51.100.8"), nil)
				d, err := bob.ConnectAs(ServerAddr, "bob", Password)
				if !x.yields {
					if err == nil {
						t.Error("bob is in")
					}
					refused(t, w, name, `"alice"`, `"bob"`)
					passes(t, w, alice.l, alice.d, 1)
					return
				}
				if err != nil || x.bob.Address.IsValid() && d.Network.Peer != leased {
					t.Fatalf("bob has %+v, %v", d.Network, err)
				}
				down := All[vpn.SessionDown](w.Events)
				if len(down) != 1 || down[0].User != "alice" || down[0].Cause != auth.PortPreempted {
					t.Errorf("ended: %+v", down)
				}
				if ends := All[vpn.ConnDown](w.Events); len(ends) != 1 || ends[0].Why != vpn.EndPreempted {
					t.Errorf("ended: %+v", ends)
				}
				if again := connect6(t, w, "198.51.100.9"); x.bob.Address.IsValid() && again.d.Network.Peer == leased {
					t.Error("alice has the address again")
				}
				if up := All[vpn.SessionUp](w.Events); len(up) != 3 {
					t.Errorf("%d sessions came up, want 3", len(up))
				}
			})
		})
	}
}

// Adjacent networks do not overlap.
func TestNeighboursAreGranted(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, with6(Options{Backend: grants{
			"alice": {Address: netip.MustParseAddr("172.16.6.0"), Routes: []netip.Prefix{netip.MustParsePrefix("172.16.4.0/24"), netip.MustParsePrefix("2001:db8:8::/48")}},
			"bob":   {Address: netip.MustParseAddr("172.16.6.1"), Routes: []netip.Prefix{netip.MustParsePrefix("172.16.5.0/24")}, IPv6: auth.IPv6{Delegated: netip.MustParsePrefix("2001:db8:9::/48")}},
		}}))
		for i, user := range []string{"alice", "bob"} {
			if _, err := w.Laptop(w.Net.Host(fmt.Sprint("198.51.100.", 7+i)), nil).ConnectAs(ServerAddr, user, Password); err != nil {
				t.Errorf("%s: %v", user, err)
			}
		}
	})
}

// Nobody can have what belongs to the server, its host, its gateway, the RADIUS server or
// the pool itself, whoever grants it and in whatever form.
func TestNobodyTakesWhatIsTheServers(t *testing.T) {
	own := func(text, whose string) pool.Foreign {
		return pool.Foreign{Network: netip.MustParsePrefix(text), Whose: whose}
	}
	foreign := []pool.Foreign{
		own("192.0.2.1/32", "the server's own host"), own("192.0.2.0/24", "the server's host, on eth0"), own("192.0.2.254/32", "the gateway"),
		own("172.20.0.53/32", "the RADIUS server"), own("2001:db8:ee::1/128", "the server's own host"), own("2001:db8:ee::/64", "the server's host, on eth0"),
		own("2001:db8:ef::53/128", "the RADIUS server"),
	}
	address := func(s string) auth.Grant { return auth.Grant{Address: netip.MustParseAddr(s)} }
	address6 := func(s string) auth.Grant { return auth.Grant{IPv6: auth.IPv6{Address: netip.MustParseAddr(s)}} }
	prefix := func(s string) auth.Grant { return auth.Grant{IPv6: auth.IPv6{Prefix: netip.MustParsePrefix(s)}} }
	delegated := func(s string) auth.Grant { return auth.Grant{IPv6: auth.IPv6{Delegated: netip.MustParsePrefix(s)}} }
	route := func(s string) auth.Grant { return routed(s).grant }
	for _, tt := range []struct {
		name  string
		grant auth.Grant
		whose string
	}{
		{"the host's address", address("192.0.2.1"), "own host"}, {"the gateway's", address("192.0.2.254"), "the gateway"},
		{"the RADIUS server's", address("172.20.0.53"), "the RADIUS server"}, {"the server's in the pool", address("10.83.0.1"), "the server's own"},
		{"the pool's network", address("10.83.0.0"), "10.83.0.0/16"}, {"the pool's broadcast", address("10.83.255.255"), "10.83.0.0/16"},
		{"IPv6, the host's", address6("2001:db8:ee::1"), "own host"}, {"IPv6, the RADIUS server's", address6("2001:db8:ef::53"), "the RADIUS server"},
		{"prefix of the host", prefix("2001:db8:ee::/64"), "2001:db8:ee::"}, {"prefix with the RADIUS server", prefix("2001:db8:ef::/64"), "the RADIUS server"},
		{"delegated, the host's", delegated("2001:db8:ee::/48"), "2001:db8:ee::"}, {"delegated, with the RADIUS server", delegated("2001:db8:ef::/56"), "the RADIUS server"},
		{"route to the host", route("192.0.2.1/32"), "own host"}, {"to the gateway", route("192.0.2.254/32"), "192.0.2.0/24"},
		{"to the network", route("192.0.2.0/24"), "192.0.2.1"}, {"into the network", route("192.0.2.128/25"), "eth0"}, {"around the network", route("192.0.0.0/16"), "192.0.2.1"},
		{"to the RADIUS server", route("172.20.0.53/32"), "the RADIUS server"}, {"around the RADIUS server", route("172.20.0.0/14"), "the RADIUS server"},
		{"to the server in the pool", route("10.83.0.1/32"), "network.pool"}, {"around the pool", route("10.0.0.0/8"), "network.pool"}, {"into the pool", route("10.83.7.0/24"), "network.pool"},
		{"into IPv6 of the host", route("2001:db8:ee:0:1::/80"), "eth0"}, {"around the RADIUS server, IPv6", route("2001:db8:ef::/48"), "the RADIUS server"},
		{"around the pool of IPv6", route("2001:db8::/32"), "network.pool"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, with6(Options{Backend: grants{"alice": tt.grant}, Policy: func(p *vpn.Policy) { p.Foreign = foreign }}))
				if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr); err == nil {
					t.Error("the client is in")
				}
				refused(t, w, tt.name, tt.whose)
			})
		})
	}
}

// A pool defined by a range, not by a network, still belongs to its clients.
func TestARouteTakesNoPoolThatIsARange(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{Backend: grants{"alice": routed("10.83.4.0/22").grant}, Policy: func(p *vpn.Policy) { p.Networks[0].Prefix = netip.Prefix{} }})
		if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr); err == nil {
			t.Error("the client is in")
		}
		refused(t, w, "a range", "network.pool")
	})
}

// What a reload makes foreign is refused, also to connections that exist already.
func TestAReloadChangesWhatIsForeign(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{Backend: grants{"alice": {}, "bob": routed("172.20.0.0/16").grant}})
		d, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		p := *w.Policy
		p.Foreign = []pool.Foreign{{Network: netip.MustParsePrefix("172.20.0.53/32"), Whose: "the RADIUS server"}}
		w.Server.SetPolicy(&p)
		d.Reauthenticate("bob", Password)
		time.Sleep(30 * time.Second)
		refused(t, w, "after the reload", "the RADIUS server")
	})
}

// Two sessions of one user may have the same network behind them: two routers to it, or
// one router that came back before the server noticed its absence. The newest session
// gets it, and when that ends, the other one gets it.
func TestOneUsersRoutersShareANetwork(t *testing.T) {
	to := netip.MustParseAddr("172.16.5.9")
	in(t, func(t *testing.T) {
		w := New(t, Options{Backend: grants{"alice": routed("172.16.5.0/24").grant}})
		var routers []*Laptop
		var links []*client.Dialled
		for i := range 3 {
			l := w.Laptop(w.Net.Host(fmt.Sprint("198.51.100.", 7+i)), nil)
			d, err := l.Connect(ServerAddr)
			if err != nil {
				t.Fatal(err)
			}
			d.Own(netip.MustParsePrefix("172.16.5.0/24"))
			routers, links = append(routers, l), append(links, d)
		}
		n := uint32(0)
		leads := func(want int) {
			t.Helper()
			n += 2
			synctest.Wait()
			w.Device.Inject(0, datagram(internet, to, n))
			time.Sleep(time.Second)
			for i, l := range routers {
				if got := number(l.Device.Poll()) == n; got != (i == want) {
					t.Errorf("router %d has the packet: %v, want it at %d", i, got, want)
				}
				l.Device.Inject(0, datagram(to, internet, n+1))
				time.Sleep(time.Second)
				if got := number(w.Device.Poll()) == n+1; got != (i == want) {
					t.Errorf("router %d may send from the network: %v, want that of %d alone", i, got, want)
				}
			}
		}
		leads(2)
		links[0].Close() // it had lost the network already: nothing changes
		time.Sleep(10 * time.Second)
		leads(2)
		links[2].Vanish()
		w.Server.Disconnect(func(st vpn.Status) bool { return strings.HasPrefix(st.Remote.String(), "198.51.100.9:") })
		time.Sleep(10 * time.Second)
		leads(1)
		links[1].Close()
		time.Sleep(10 * time.Second)
		if _, err := w.Laptop(w.Net.Host("198.51.100.20"), nil).Connect(ServerAddr); err != nil {
			t.Error(err)
		}
	})
}
