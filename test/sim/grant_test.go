package sim

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/pool"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// granting is a backend that accepts alice's password and grants what the test says.
type granting struct {
	auth.Local
	grant auth.Grant
	delay time.Duration
}

func backend(g auth.Grant) *granting {
	b := &granting{grant: g}
	b.Replace([]auth.User{{Name: User, Password: secret.String(Password)}})
	return b
}

func (b *granting) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	select {
	case <-time.After(b.delay):
	case <-ctx.Done():
		return auth.Response{}, ctx.Err()
	}
	resp, err := b.Local.Authenticate(ctx, r)
	if resp.Verdict == auth.Accepted {
		b.grant.User = resp.Grant.User
		resp.Grant = b.grant
	}
	return resp, err
}

// books stores accounting records.
type books struct {
	mu      sync.Mutex
	records []auth.Record
}

func (b *books) Account(r auth.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, r)
}

func (b *books) all() []auth.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]auth.Record(nil), b.records...)
}

// connected makes a world with this grant and one connected client.
func connected(t *testing.T, g auth.Grant) (*World, *Laptop, *client.Dialled, *books) {
	t.Helper()
	b := &books{}
	w, l, d := online(t, Options{Backend: backend(g), Accountant: b})
	return w, l, d, b
}

// wantEnd waits until the client is gone, and checks the time and the reason.
func wantEnd(t *testing.T, d *client.Dialled, b *books, after time.Duration, cause auth.Cause) auth.Record {
	t.Helper()
	began := time.Now()
	<-d.Done()
	if took := time.Since(began); took < after-time.Second || took > after+30*time.Second {
		t.Errorf("the session ended after %v, want about %v", took, after)
	}
	time.Sleep(10 * time.Second)
	records := b.all()
	last := records[len(records)-1]
	if last.Status != auth.Stop || last.Cause != cause {
		t.Errorf("the last record is %+v, want a Stop because of %v", last, cause)
	}
	return last
}

func TestSessionTimeoutEndsTheSession(t *testing.T) {
	in(t, func(t *testing.T) {
		_, _, d, b := connected(t, auth.Grant{SessionTimeout: 10 * time.Minute})
		wantEnd(t, d, b, 10*time.Minute, auth.SessionTimeout)
	})
}

func TestIdleTimeoutEndsTheSessionOnlyWithoutTraffic(t *testing.T) {
	in(t, func(t *testing.T) {
		w, l, d, b := connected(t, auth.Grant{IdleTimeout: 5 * time.Minute})
		for n := range uint32(10) {
			time.Sleep(4 * time.Minute)
			passes(t, w, l, d, 10*n+1)
		}
		wantEnd(t, d, b, 5*time.Minute, auth.IdleTimeout)
	})
}

func TestAccountingAgreesWithTheTraffic(t *testing.T) {
	in(t, func(t *testing.T) {
		w, l, d, b := connected(t, auth.Grant{InterimInterval: time.Minute, Class: [][]byte{[]byte("c")}})
		for n := range uint32(50) {
			passes(t, w, l, d, 10*n+1)
		}
		time.Sleep(3 * time.Minute)
		w.Server.Disconnect(func(vpn.Status) bool { return true })
		last := wantEnd(t, d, b, 0, auth.AdminReset)
		if last.InputPackets != 50 || last.OutputPackets != 50 || last.InputOctets != 50*32 || last.OutputOctets != 50*32 ||
			string(last.Class[0]) != "c" || last.User != User || last.Address != netip.MustParseAddr("10.83.0.2") {
			t.Errorf("the Stop record is %+v", last)
		}
		interim := 0
		for _, r := range b.all() {
			if r.Status == auth.Interim {
				interim++
			}
		}
		if first := b.all()[0]; first.Status != auth.Start || interim < 3 || interim > 6 {
			t.Errorf("the first record is %v, and %d interim records came in some four minutes", first.Status, interim)
		}
	})
}

func TestSessionsPerUserAreLimited(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, Options{Policy: func(p *vpn.Policy) { p.SessionsPerUser = 1 }})
		one := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		two := w.Laptop(w.Net.Host("198.51.100.8"), nil)
		d, err := one.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.Connect(ServerAddr); err == nil {
			t.Error("a second session was admitted")
		}
		passes(t, w, one, d, 1)
		d.Close()
		time.Sleep(10 * time.Second)
		if _, err := two.Connect(ServerAddr); err != nil {
			t.Errorf("after the first has left: %v", err)
		}
	})
}

// A user with a static address whose cable was pulled comes back from another network:
// the new session wins.
func TestAStaticAddressFollowsItsUser(t *testing.T) {
	in(t, func(t *testing.T) {
		static := netip.MustParseAddr("10.83.7.7")
		w := New(t, Options{Backend: backend(auth.Grant{Address: static})})
		home := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		cafe := w.Laptop(w.Net.Host("203.0.113.9"), nil)
		d, err := home.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		d.Vanish()
		d, err = cafe.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		if d.Network.Peer != static {
			t.Errorf("got %v, want %v", d.Network.Peer, static)
		}
		passes(t, w, cafe, d, 1)
	})
}

func TestASlowBackendIsWaitedFor(t *testing.T) {
	in(t, func(t *testing.T) {
		b := backend(auth.Grant{})
		b.delay = 25 * time.Second // the user needs time to reach for the phone
		w := New(t, Options{Backend: b})
		l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		if _, err := l.Connect(ServerAddr); err != nil {
			t.Error(err)
		}
	})
}

// Whatever a RADIUS server grants, no user gets all addresses, or those of other users.
func TestRoutesThatWouldTakeOthersAddressesAreRefused(t *testing.T) {
	for _, route := range []string{"0.0.0.0/0", "10.83.0.0/16", "10.83.1.128/25", "10.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4"} {
		t.Run(route, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, Options{Backend: backend(auth.Grant{Routes: []netip.Prefix{netip.MustParsePrefix(route)}})})
				before := w.Pool.InUse()
				l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
				if _, err := l.Connect(ServerAddr); err == nil {
					t.Error("the route was granted")
				}
				done := All[vpn.AuthDone](w.Events)
				if len(done) != 1 || done[0].Verdict != auth.NotAllowed || done[0].Detail == "" {
					t.Errorf("verdicts = %+v, want one that says why", done)
				}
				if n := w.Pool.InUse(); n != before {
					t.Errorf("%d addresses stay leased", n-before)
				}
			})
		})
	}
}

// A peer that only knows the pre-shared key has a minute to bring a user, however often
// it negotiates keys.
func TestKeysAloneKeepNoConnection(t *testing.T) {
	in(t, func(t *testing.T) {
		w, _, d, _ := connected(t, auth.Grant{})
		d.StopTunnel()
		for range 60 {
			d.Rekey(ike.ChildRequest{LocalPort: 1701})
			time.Sleep(5 * time.Second)
		}
		if n := len(w.Server.List()); n != 0 {
			t.Errorf("%d connections without a user after five minutes", n)
		}
	})
}

// Nobody can have an address of the server's own host, whoever grants it: the host itself
// would answer what is sent to it.
func TestTheServersOwnAddressesAreRefused(t *testing.T) {
	own, own6 := netip.MustParseAddr("203.0.113.50"), netip.MustParseAddr("2001:db8::50")
	for _, g := range []auth.Grant{{Address: own}, {IPv6: auth.IPv6{Address: own6}}} {
		in(t, func(t *testing.T) {
			w := New(t, Options{Backend: backend(g), Policy: func(p *vpn.Policy) {
				p.Foreign = []pool.Foreign{{Network: netip.PrefixFrom(own, 32), Whose: "the server's own host"}, {Network: netip.PrefixFrom(own6, 128), Whose: "the server's own host"}}
			}})
			if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).Connect(ServerAddr); err == nil {
				t.Error("the client is in")
			}
			if done := All[vpn.AuthDone](w.Events); len(done) != 1 || done[0].Verdict != auth.NotAllowed || !strings.Contains(done[0].Detail, "the server's own host") {
				t.Errorf("the verdicts: %+v", done)
			}
		})
	}
}

// A client that falls silent has its true counters in the Stop, and wherever it was by then,
// all of its records name the origin that the backend was asked with: servers find a session, and
// an address that they lease, by that.
func TestASilentClientsStopHasItsCountersAndItsFirstOrigin(t *testing.T) {
	in(t, func(t *testing.T) {
		asked := &asking{Backend: backend(auth.Grant{InterimInterval: time.Minute})}
		b := &books{}
		w := New(t, Options{Backend: asked, Accountant: b})
		nat := w.Net.NAT("198.51.100.7")
		l := w.Laptop(nat.Host("192.168.1.10"), nil)
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint32(20) {
			passes(t, w, l, d, 10*n+1)
		}
		nat.Move("203.0.113.77")
		for n := range uint32(20) {
			passes(t, w, l, d, 1000+10*n+1)
		}
		time.Sleep(2 * time.Minute)
		d.Vanish()
		<-d.Done()
		time.Sleep(10 * time.Minute)
		records := b.all()
		stop := records[len(records)-1]
		if stop.Status != auth.Stop || stop.Cause != auth.LostCarrier || stop.InputPackets != 40 || stop.OutputPackets != 40 || stop.InputOctets != 40*32 || stop.Duration < time.Minute {
			t.Errorf("the Stop record is %+v", stop)
		}
		for _, r := range records {
			if r.Call != asked.call || r.Call.Port == 0 || r.Call.PortID == "" || !strings.HasPrefix(r.Call.Info, "L2TP/IPsec ") {
				t.Errorf("%v comes from %+v, and was asked for as %+v", r.Status, r.Call, asked.call)
			}
		}
	})
}

// asking is a backend that keeps how it was asked.
type asking struct {
	auth.Backend
	call auth.Call
}

func (a *asking) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	a.call = r.Call
	return a.Backend.Authenticate(ctx, r)
}
