package radius

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// after answers users after a time, and probes at once.
func after(d time.Duration, code radius.Code) func(*radius.Packet, []byte) []byte {
	return func(p *radius.Packet, _ []byte) []byte {
		switch {
		case p.Code == radius.CodeStatusServer:
			return signed(p, radius.CodeAccessAccept, nil)
		case probing(p):
			return nil
		}
		time.Sleep(d)
		return signed(p, code, nil)
	}
}

// login has a user log in, and returns how long it took.
func login(t *testing.T, c *Client, user string) (auth.Response, time.Duration, error) {
	t.Helper()
	began := time.Now()
	r := papRequest()
	r.User = user
	answer, err := c.Authenticate(t.Context(), r)
	return answer, time.Since(began), err
}

// A user who has to look for a telephone takes their time. The server lives, by whatever it
// shows that: it is asked once, and nobody else is.
func TestAServerThatLivesIsWaitedFor(t *testing.T) {
	slow := func(probe func(p *radius.Packet) []byte) func(*radius.Packet, []byte) []byte {
		return func(p *radius.Packet, _ []byte) []byte {
			if probing(p) {
				return probe(p)
			}
			time.Sleep(40 * time.Second)
			return signed(p, radius.CodeAccessAccept, nil)
		}
	}
	for name, answer := range map[string]func(*radius.Packet, []byte) []byte{
		"by Status-Server": after(40*time.Second, radius.CodeAccessAccept),
		"by refusing nobody, as NPS": slow(func(p *radius.Packet) []byte {
			if p.Code == radius.CodeStatusServer {
				return nil
			}
			return signed(p, radius.CodeAccessReject, nil)
		}),
		"by refusing nobody, a second later": slow(func(p *radius.Packet) []byte {
			if p.Code == radius.CodeStatusServer {
				return nil
			}
			time.Sleep(time.Second)
			return signed(p, radius.CodeAccessReject, nil)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first, second := serve(t, answer), serve(t, after(0, radius.CodeAccessAccept))
				c := client(t, Config{}, first, second)
				if r, took, err := login(t, c, "alice"); err != nil || r.Verdict != auth.Accepted || took != 40*time.Second {
					t.Errorf("%v, %v after %v", r.Verdict, err, took)
				}
				if n := first.identifiers(); n != 1 {
					t.Errorf("the first server saw %d requests", n)
				}
				if n := first.count(); n < 20 || n > 40 {
					t.Errorf("it was sent %d times, want one or two seconds apart", n)
				}
				if n := second.count() + len(second.probes); n != 0 {
					t.Errorf("the second server saw %d packets", n)
				}
			})
		})
	}
}

// A server that answers Status-Server and never the user is not asked twice, and neither is
// another one.
func TestNobodyIsAskedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first, second := serve(t, after(time.Hour, radius.CodeAccessAccept)), serve(t, after(0, radius.CodeAccessAccept))
		c := client(t, Config{Patience: 20 * time.Second}, first, second)
		_, took, err := login(t, c, "alice")
		if !errors.Is(err, ErrNoAnswer) || took != 20*time.Second || !strings.Contains(err.Error(), "it is there, and has said nothing to this request for 20s") {
			t.Errorf("%v after %v", err, took)
		}
		if first.identifiers() != 1 || second.count() != 0 {
			t.Errorf("the first saw %d requests, the second %d", first.identifiers(), second.count())
		}
		synctest.Wait()
		time.Sleep(2 * time.Hour) // the late answer finds nobody, and is counted
		if d := c.Status()[0].Dropped; d["late"] == 0 {
			t.Errorf("dropped %v", d)
		}
	})
}

// The first server is dead: each login survives that, and the server is used again when it
// is back.
func TestTheNextServerIsAskedWhenOneIsDead(t *testing.T) {
	for name, dead := range map[string]func(*fakeServer, bool){
		"a black hole":         func(s *fakeServer, on bool) { s.away.Store(on) },
		"where nobody listens": func(s *fakeServer, on bool) { s.closed.Store(on) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first, second := serve(t, after(0, radius.CodeAccessAccept)), serve(t, after(0, radius.CodeAccessAccept))
				var mu sync.Mutex
				var events []string
				c := client(t, Config{Event: func(e Event) {
					mu.Lock()
					defer mu.Unlock()
					if e.Service == authentication.String() { // Accounting-On finds it dead, too
						events = append(events, fmt.Sprintf("%s %v", e.Service, e.Up))
					}
				}}, first, second)
				dead(first, true)
				if _, took, err := login(t, c, "alice"); err != nil || took > 5*time.Second {
					t.Errorf("the first login: %v after %v", err, took)
				}
				for range 20 {
					if _, took, err := login(t, c, "alice"); err != nil || took > 3*time.Second {
						t.Errorf("a later login: %v after %v", err, took)
					}
					time.Sleep(7 * time.Second)
				}
				seen := second.count()
				dead(first, false)
				time.Sleep(30 * time.Second)
				if _, took, err := login(t, c, "alice"); err != nil || took > time.Second || second.count() != seen || first.count() == 0 {
					t.Errorf("it is back: %v after %v; the second server saw %d more", err, took, second.count()-seen)
				}
				mu.Lock()
				defer mu.Unlock()
				if fmt.Sprint(events) != "[authentication false authentication true]" {
					t.Errorf("the administrator was told %v", events)
				}
			})
		})
	}
}

// It is marked also when the login's own end comes before the server's.
func TestASilentServerIsMarkedThoughNobodyWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first, second := serve(t, after(0, radius.CodeAccessAccept)), serve(t, after(0, radius.CodeAccessAccept))
		c := client(t, Config{}, first, second)
		first.away.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := c.Authenticate(ctx, papRequest()); !errors.Is(err, ErrNoAnswer) {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		if _, took, err := login(t, c, "alice"); err != nil || took != 0 {
			t.Errorf("the next login: %v after %v", err, took)
		}
	})
}

// A request that cannot be written says nothing of the server: nothing was sent.
func TestARequestThatCannotBeWrittenMarksNoServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t, after(0, radius.CodeAccessAccept))
		c := client(t, Config{}, s)
		s.away.Store(true) // to probes, if there are any
		r := papRequest()
		r.Password = secret.String(strings.Repeat("x", 129))
		if _, err := c.Authenticate(t.Context(), r); !errors.Is(err, errRequest) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if st := c.Status()[0]; st.State != Unasked || s.count() > 0 {
			t.Errorf("the server is %v, and has had %d requests", st.State, s.count())
		}
	})
}

// A client that goes away ends the question at once.
func TestACancelledLoginEndsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t, after(40*time.Second, radius.CodeAccessAccept))
		c := client(t, Config{}, s)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(9700*time.Millisecond, cancel)
		began := time.Now()
		_, err := c.Authenticate(ctx, papRequest())
		if !errors.Is(err, context.Canceled) || time.Since(began) != 9700*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		sent := s.count()
		time.Sleep(20 * time.Second)
		if s.count() != sent {
			t.Error("it is repeated still")
		}
		if r := c.Status()[0].Results; r["cancelled"] != 1 {
			t.Errorf("results %v", r)
		}
	})
}

func TestAServerThatIsNotThereIsNamedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gone := serve(t, nil)
		gone.closed.Store(true)
		_, took, err := login(t, client(t, Config{}, gone), "alice")
		if want := gone.address() + ": no RADIUS server answers: connection refused"; err == nil || err.Error() != want || took > time.Second {
			t.Errorf("got %v after %v, want %s", err, took, want)
		}
	})
}

// Many at once take no longer than one, and more than an identifier can tell apart take
// more sockets. These stay.
func TestManyLoginsAtOnce(t *testing.T) {
	for _, n := range []int{60, 1000} {
		bubble(t, func(t *testing.T) {
			s := serve(t, after(2*time.Second, radius.CodeAccessAccept))
			c := client(t, Config{}, s)
			began := time.Now()
			for range 3 {
				var all sync.WaitGroup
				for i := range n {
					all.Go(func() {
						if _, took, err := login(t, c, fmt.Sprint(i)); err != nil || took > 2500*time.Millisecond {
							t.Errorf("%v after %v", err, took)
						}
					})
				}
				all.Wait()
			}
			if took := time.Since(began); took > 7500*time.Millisecond {
				t.Errorf("%d logins, three times, took %v", n, took)
			}
			if s.identifiers() != 3*n || s.dials > (n+255)/256+1 { // one for accounting
				t.Errorf("%d logins: %d requests by %d sockets", n, s.identifiers(), s.dials)
			}
		})
	}
}

// Priority, weight and realm say who is asked.
func TestWhichServerIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var all []*fakeServer
		var cfg Config
		for i, srv := range []Server{
			{}, {Priority: -1, Weight: 1}, {Priority: -1, Weight: 3},
			{Realms: []string{"corp.example"}}, {Realms: []string{"other.example", "CORP"}, Priority: 9},
		} {
			s := serve(t, after(0, radius.CodeAccessAccept))
			all = append(all, s)
			srv.Address, srv.Secret = s.address(), secret.String(shared)
			if i == 0 {
				srv.Accounting = s.address()
			}
			cfg.Servers = append(cfg.Servers, srv)
		}
		c := client(t, cfg)
		for range 400 {
			if _, _, err := login(t, c, "alice@nowhere.example"); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := all[1].count(), all[2].count(); a+b != 400 || a < 50 || b < 2*a {
			t.Errorf("of 400 logins weight 1 had %d, weight 3 had %d", a, b)
		}
		for user, want := range map[string]int{"bob@Corp.Example": 3, `CORP\carol`: 4, "dave@other.example": 4} {
			was := all[want].count()
			if _, _, err := login(t, c, user); err != nil || all[want].count() != was+1 {
				t.Errorf("%s: server %d was not asked (%v)", user, want, err)
			}
		}
		all[1].closed.Store(true)
		all[2].closed.Store(true)
		if _, _, err := login(t, c, "alice"); err != nil || all[0].count() != 1 {
			t.Errorf("the next priority: %v", err)
		}
		all[3].closed.Store(true) // a realm's users are nobody else's
		if _, _, err := login(t, c, "bob@corp.example"); !errors.Is(err, ErrNoAnswer) || all[0].count() != 1 {
			t.Errorf("a realm without a server: %v", err)
		}
	})
}

// A reload changes the servers. Who waits goes on waiting where they are, and a server that
// stays keeps its socket.
func TestServersChangeUnderRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, stays, added := serve(t, after(10*time.Second, radius.CodeAccessAccept)), serve(t, after(0, radius.CodeAccessAccept)), serve(t, after(0, radius.CodeAccessReject))
		c := client(t, Config{}, old, stays)
		done := make(chan error)
		go func() {
			_, _, err := login(t, c, "alice")
			done <- err
		}()
		time.Sleep(time.Second)
		of := func(s *fakeServer) Server {
			return Server{Address: s.address(), Accounting: s.address(), Secret: secret.String(shared)}
		}
		c.Replace(Config{NASIdentifier: "other", Servers: []Server{of(added), of(stays)}})
		if r, _, err := login(t, c, "bob"); err != nil || r.Verdict == auth.Accepted || added.count() != 1 {
			t.Errorf("the new server: %v, %v", r.Verdict, err)
		}
		if err := <-done; err != nil || old.identifiers() != 1 {
			t.Errorf("the login under way: %v", err)
		}
		c.Replace(Config{Servers: []Server{{Address: stays.address(), Secret: secret.String("another")}}})
		synctest.Wait()
		if _, _, err := login(t, c, "carol"); err == nil {
			t.Error("the old secret still counts")
		}
	})
}

// A conversation that has begun at a server goes on there when the configuration names others.
func TestAConversationStaysWhereItBegan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, added := serve(t, after(0, radius.CodeAccessAccept)), serve(t, after(0, radius.CodeAccessReject))
		c := client(t, Config{}, old)
		q := question{kind: authentication, user: "alice", build: func(secret []byte) (*radius.Packet, error) {
			return c.accessRequest(secret, papRequest())
		}}
		reply, at, err := c.exchange(t.Context(), q)
		if err != nil || reply.Code != radius.CodeAccessAccept {
			t.Fatal(reply, err)
		}
		c.Replace(Config{Servers: []Server{{Address: added.address(), Secret: secret.String(shared)}}})
		time.Sleep(30 * time.Second)
		q.at = at
		if reply, _, err := c.exchange(t.Context(), q); err != nil || reply.Code != radius.CodeAccessAccept || old.identifiers() != 2 || added.count() != 0 {
			t.Errorf("%v, %v: the old server saw %d, the new one %d", reply, err, old.identifiers(), added.count())
		}
		old.away.Store(true) // nor does it go elsewhere when the server dies
		if _, _, err := c.exchange(t.Context(), q); !errors.Is(err, ErrNoAnswer) || added.count() != 0 {
			t.Errorf("%v: the new server saw %d", err, added.count())
		}
		time.Sleep(2 * time.Minute)
		if _, _, err := c.exchange(t.Context(), q); !errors.Is(err, errReplaced) {
			t.Errorf("later: %v", err)
		}
	})
}

// Each server can have an address, a secret and an opt-out of its own for each service.
func TestAServerOfOneService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		logins := serve(t, func(p *radius.Packet, _ []byte) []byte { return unsigned(p, radius.CodeAccessAccept) })
		strict := serve(t, func(p *radius.Packet, _ []byte) []byte { return unsigned(p, radius.CodeAccessAccept) })
		var mu sync.Mutex
		authentic := false
		records := serve(t, func(p *radius.Packet, raw []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			authentic = radius.IsAuthenticRequest(raw, []byte("of accounting"))
			p.Secret = []byte("of accounting")
			return unsigned(p, radius.CodeAccountingResponse)
		})
		records.ignoresOn = true // by its other secret
		c := client(t, Config{Servers: []Server{
			{Address: logins.address(), Secret: secret.String(shared), AllowUnsigned: true},
			{Accounting: records.address(), Secret: secret.String(shared), AccountingSecret: secret.String("of accounting")},
		}})
		if _, _, err := login(t, c, "alice"); err != nil {
			t.Error(err)
		}
		c.Account(auth.Record{Status: auth.Start, User: "alice", Call: papRequest().Call, Address: papRequest().Call.Local.Addr(), Time: time.Now()})
		time.Sleep(time.Second)
		mu.Lock()
		if logins.count() != 1 || records.count() != 2 || // with Accounting-On
			!authentic {
			t.Errorf("%d logins, %d records, by its secret: %v", logins.count(), records.count(), authentic)
		}
		mu.Unlock()
		c.Replace(Config{Servers: []Server{{Address: strict.address(), Secret: secret.String(shared)}}})
		if _, _, err := login(t, c, "alice"); !errors.Is(err, ErrUnsigned) {
			t.Errorf("another server's opt-out counts: %v", err)
		}
	})
}
