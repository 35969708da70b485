package sim

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
)

// slowFor delays the verdict on one user.
type slowFor struct {
	*auth.Local
	user  string
	delay time.Duration
}

func (b *slowFor) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	resp, err := b.Local.Authenticate(ctx, r)
	if r.User == b.user {
		time.Sleep(b.delay) // a backend that does not look at ctx
	}
	return resp, err
}

var aliceAndBob = []auth.User{
	{Name: User, Password: secret.String(Password), Address: netip.MustParseAddr("10.83.1.1")},
	{Name: "bob", Password: secret.String("builder"), Address: netip.MustParseAddr("10.83.2.2")},
}

// A link that authenticates again as another user gets that user's grant and separate
// accounting: no traffic is billed to the wrong user.
func TestAuthenticatingAgainAsAnotherUserIsAnotherSession(t *testing.T) {
	in(t, func(t *testing.T) {
		b := &books{}
		w := New(t, Options{Backend: auth.NewLocal(aliceAndBob), Accountant: b})
		before := w.Pool.InUse()
		l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		d.Reauthenticate("bob", "builder")
		time.Sleep(30 * time.Second)
		if n, users := w.Pool.InUse()-before, w.Server.Counts().Users; n != 1 || users != 1 {
			t.Errorf("%d addresses leased to %d users, want one to one", n, users)
		}
		list := w.Server.List()
		if len(list) != 1 || len(list[0].Sessions) != 1 || list[0].Sessions[0].User != "bob" || list[0].Sessions[0].InPackets != 0 {
			t.Errorf("connections = %+v, want one of bob's that carried nothing yet", list)
		}
		d.Close()
		time.Sleep(10 * time.Second)
		records := b.all()
		if len(records) != 4 {
			t.Fatalf("%d records, want four: %+v", len(records), records)
		}
		for i, want := range []struct {
			status  auth.Status
			user    string
			address string
			packets uint64
		}{
			{auth.Start, User, "10.83.1.1", 0}, {auth.Stop, User, "10.83.1.1", 1},
			{auth.Start, "bob", "10.83.2.2", 0}, {auth.Stop, "bob", "10.83.2.2", 0},
		} {
			r := records[i]
			if r.Status != want.status || r.User != want.user || r.Address.String() != want.address ||
				r.InputPackets != want.packets || r.Call.SessionID != records[i&^1].Call.SessionID {
				t.Errorf("record %d = %+v, want %+v", i, r, want)
			}
		}
		if records[0].Call.SessionID == records[2].Call.SessionID {
			t.Error("two users' sessions have one id")
		}
		if n := w.Pool.InUse(); n != before {
			t.Errorf("%d addresses stay leased", n-before)
		}
	})
}

// A verdict that arrives after the link has asked about another user changes nothing.
// Otherwise it would take away what the other user was granted.
func TestALateVerdictOnAnEarlierUserIsIgnored(t *testing.T) {
	in(t, func(t *testing.T) {
		b := &books{}
		local := &slowFor{auth.NewLocal(aliceAndBob), User, 20 * time.Second}
		w := New(t, Options{Backend: local, Accountant: b})
		before := w.Pool.InUse()
		l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		d, err := l.ConnectAs(ServerAddr, "bob", "builder")
		if err != nil {
			t.Fatal(err)
		}
		d.Reauthenticate(User, Password)
		time.Sleep(10 * time.Second)
		d.Reauthenticate("bob", "builder")
		time.Sleep(time.Minute)
		list := w.Server.List()
		if len(list) != 1 || len(list[0].Sessions) != 1 || list[0].Sessions[0].Address.String() != "10.83.2.2" {
			t.Errorf("connections = %+v, want bob's alone", list)
		}
		if n := w.Pool.InUse() - before; n != 1 {
			t.Errorf("%d addresses leased, want bob's", n)
		}
		d.Close()
		time.Sleep(10 * time.Second)
		for _, r := range b.all() {
			if r.User != "bob" {
				t.Errorf("a record of %q: %+v", r.User, r)
			}
		}
		if n := w.Pool.InUse(); n != before {
			t.Errorf("%d addresses stay leased", n-before)
		}
	})
}

// A user whom the backend wants to authenticate again at the end of the session's time does so
// while packets pass. It is one session until the backend refuses.
func TestASessionGoesOnWhileItsUserAuthenticatesAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		b := &books{}
		from := &states{Backend: backend(auth.Grant{SessionTimeout: time.Minute, Again: &auth.Again{State: []byte("one")}})}
		w := New(t, Options{Backend: from, Accountant: b})
		l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint32(180) {
			passes(t, w, l, d, n)
			time.Sleep(time.Second)
		}
		done := All[vpn.AuthDone](w.Events)
		if len(done) < 3 || len(All[vpn.SessionUp](w.Events)) != 1 || len(All[vpn.SessionDown](w.Events)) != 0 {
			t.Fatalf("%d authentications: %+v", len(done), done)
		}
		for i, state := range from.all() {
			if want := map[bool]string{true: "one"}[i > 0]; state != want {
				t.Errorf("request %d has the State %q", i, state)
			}
		}
		if n := from.before.Load(); n != 0 {
			t.Errorf("attempts that the server made itself count as the client's, %d", n)
		}
		from.refuse.Store(true)
		time.Sleep(2 * time.Minute)
		if down := All[vpn.SessionDown](w.Events); len(down) != 1 || down[0].Cause != auth.SessionTimeout {
			t.Errorf("session ends = %+v", down)
		}
		var kinds []auth.Status
		for _, r := range b.all() {
			kinds = append(kinds, r.Status)
		}
		if !slices.Equal(kinds, []auth.Status{auth.Start, auth.Stop}) {
			t.Errorf("records %v", kinds)
		}
	})
}

// states keeps the State of each request, and refuses when it should.
type states struct {
	auth.Backend
	mu     sync.Mutex
	seen   []string
	before atomic.Uint32 // attempts that requests say the connection has made
	refuse atomic.Bool
}

func (s *states) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	s.mu.Lock()
	s.seen = append(s.seen, string(r.State))
	s.before.Add(r.Call.Before)
	s.mu.Unlock()
	if s.refuse.Load() {
		return auth.Response{Verdict: auth.BadCredentials}, nil
	}
	return s.Backend.Authenticate(ctx, r)
}

func (s *states) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}
