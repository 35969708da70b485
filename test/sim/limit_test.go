package sim

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
)

// few allows each user a number of sessions.
func few(n int, replace bool) Options {
	return Options{Policy: func(p *vpn.Policy) { p.SessionsPerUser, p.Replace = n, replace }}
}

// A device whose plug was pulled is replaced by another one of its user, from wherever that
// comes, some 4 seconds later.
func TestASilentSessionMakesRoomForOneFromElsewhere(t *testing.T) {
	for name, sessions := range map[string]int{"one session": 1, "three sessions": 3} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, few(sessions, false))
				for i := range sessions {
					l := w.Laptop(w.Net.Host(netip.AddrFrom4([4]byte{198, 51, 100, byte(7 + i)}).String()), nil)
					d, err := l.Connect(ServerAddr)
					if err != nil {
						t.Fatal(err)
					}
					d.Vanish()
				}
				l := w.Laptop(w.Net.Host("203.0.113.9"), nil)
				began := time.Now()
				d, err := l.Connect(ServerAddr)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 6*time.Second { // of which Connect sleeps one
					t.Errorf("it took %v", took)
				}
				passes(t, w, l, d, 1)
				if down := All[vpn.SessionDown](w.Events); len(down) != sessions || down[0].Cause != auth.NASRequest {
					t.Errorf("session ends = %+v", down)
				}
			})
		})
	}
}

// A living device keeps its place, and loses nothing while it is asked: the second one is
// refused, and the log says why.
func TestALivingSessionStaysAndTheNewOneIsRefused(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, few(1, false))
		one := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		a, err := one.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		passed := make(chan int)
		go func() {
			n := uint32(0)
			for ; ctx.Err() == nil; n++ {
				passes(t, w, one, a, n)
			}
			passed <- int(n)
		}()
		two := w.Laptop(w.Net.Host("203.0.113.9"), nil)
		if _, err := two.Connect(ServerAddr); err == nil {
			t.Error("a second session was admitted")
		}
		cancel()
		if n := <-passed; n < 3 {
			t.Errorf("%d rounds of packets passed meanwhile", n)
		}
		if down := All[vpn.SessionDown](w.Events); len(down) != 0 {
			t.Errorf("session ends = %+v", down)
		}
		done := All[vpn.AuthDone](w.Events)
		if last := done[len(done)-1]; last.Verdict != auth.NotAllowed || !strings.Contains(last.Detail, "as many sessions as") {
			t.Errorf("the verdict is %+v", last)
		}
	})
}

// With limits.on_excess = "replace" the oldest living session ends, and no other.
func TestTheOldestLivingSessionIsReplaced(t *testing.T) {
	in(t, func(t *testing.T) {
		w := New(t, few(2, true))
		for _, at := range []string{"198.51.100.7", "198.51.100.8", "203.0.113.9"} {
			if _, err := w.Laptop(w.Net.Host(at), nil).Connect(ServerAddr); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
		}
		down := All[vpn.SessionDown](w.Events)
		if len(down) != 1 || down[0].Remote.Addr() != netip.MustParseAddr("198.51.100.7") || down[0].Cause != auth.NASRequest {
			t.Errorf("session ends = %+v", down)
		}
		if n := len(w.Server.List()); n != 2 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// spelled is a backend that knows users by any spelling, as directories do, and names them if
// it is asked to.
type spelled struct{ named string }

func (s spelled) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	answer, err := auth.NewLocal([]auth.User{{Name: r.User, Password: secret.String(Password)}}).Authenticate(ctx, r)
	answer.Grant.User = s.named
	return answer, err
}

// records keeps accounting records.
type records struct{ kept chan auth.Record }

func (l records) Account(r auth.Record) { l.kept <- r }

// A user is one user however the name is typed, and accounting has it as it was typed.
func TestALimitCountsAUserNotASpelling(t *testing.T) {
	all := auth.Identity{FoldCase: true, StripDomain: true, StripRealm: true}
	for name, c := range map[string]struct {
		identity     auth.Identity
		named        string
		first, again string
		same         bool
	}{
		"case":                         {auth.Identity{FoldCase: true}, "", "Alice", "aLICE", true},
		"case counts":                  {auth.Identity{}, "", "Alice", "alice", false},
		"a domain":                     {all, "", `CORP\alice`, "alice", true},
		"a domain counts":              {auth.Identity{FoldCase: true}, "", `CORP\alice`, "alice", false},
		"a realm":                      {all, "", "alice@corp.example", `CORP\Alice`, true},
		"two users":                    {all, "", "alice", "bob", false},
		"the server's name, two typed": {auth.Identity{}, "alice", "Al", "alice.smith", true},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				books := records{make(chan auth.Record, 16)}
				w := New(t, Options{Backend: spelled{c.named}, Accountant: books, Policy: func(p *vpn.Policy) {
					p.SessionsPerUser, p.Identity = 1, c.identity
				}})
				if _, err := w.Laptop(w.Net.Host("198.51.100.7"), nil).ConnectAs(ServerAddr, c.first, Password); err != nil {
					t.Fatal(err)
				}
				want := c.first
				if c.named != "" {
					want = c.named
				}
				if r := <-books.kept; r.Status != auth.Start || r.User != want {
					t.Errorf("accounting begins with %+v, want the user %q", r, want)
				}
				_, err := w.Laptop(w.Net.Host("203.0.113.9"), nil).ConnectAs(ServerAddr, c.again, Password)
				if same := err != nil; same != c.same {
					t.Errorf("%q and %q: the second one's error is %v", c.first, c.again, err)
				}
			})
		})
	}
}
