package session

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

func TestStateIsPlainData(t *testing.T) { machinetest.PlainData(t, reflect.TypeFor[state]()) }

func TestALinkComesUpWithItsUser(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.grant.Routes = only("192.168.7.0/24")
		r.grant.Class = [][]byte{[]byte("gold")}
	}).start()
	want := []string{"Ask", "Leased", "Judged", "Route", "Account", "Up"}
	var got []string
	for _, e := range r.events {
		if _, ok := e.(Note); ok {
			continue // the client learns its address through Naks
		}
		got = append(got, strings.TrimPrefix(reflect.TypeOf(e).String(), "session."))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	if r.sent != len(r.events) {
		t.Errorf("the Configure-Ack left after %d of %d events: the client's first packet finds no route", r.sent, len(r.events))
	}
	if got, want := one[Route](r), (Route{[]netip.Prefix{network("10.83.0.2/32"), network("192.168.7.0/24")}, 1400, nil}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	up := one[Up](r)
	if up.User != user || up.Address != addr("10.83.0.2") || up.Method != auth.MSCHAPv2 || !up.Since.Equal(r.now) || up.ID != r.s.ID() {
		t.Errorf("%+v", up)
	}
	start := one[Account](r).Record
	if start.Status != auth.Start || start.User != user || start.Address != up.Address || start.Call.SessionID != up.ID || len(start.Class) != 1 {
		t.Errorf("%+v", start)
	}
	if r.book.users[user] != 1 || r.book.held[network("10.83.0.2/32")] != user || r.book.held[network("192.168.7.0/24")] != user {
		t.Errorf("the registry has %+v", r.book)
	}
	for _, e := range r.heard {
		if e, ok := e.(ppp.NetworkUp); ok && (e.Network.Local != addr("10.83.0.1") || e.Network.Peer != up.Address || e.Network.DNS[0] != addr("9.9.9.9")) {
			t.Errorf("the client has %+v", e.Network)
		}
	}
}

func TestWhoIsRefusedHasNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*rig)
		verdict auth.Verdict
		detail  string
		why     ppp.Reason
	}{
		"wrong password":      {func(r *rig) { r.cfg.Password = secret.String("guessed") }, auth.BadCredentials, "", ppp.ReasonAuthFailed},
		"no address left":     {func(r *rig) { lease(r, "bob", "carol") }, auth.NoAddress, "no address left", ppp.ReasonNoAddress},
		"address in use":      {func(r *rig) { r.grant.Address = addr("10.83.0.3"); lease(r, "bob", "carol") }, auth.NotAllowed, "in use", ppp.ReasonAuthFailed},
		"the server's own":    {func(r *rig) { r.grant.Address = addr("10.83.0.1") }, auth.NotAllowed, "the server's own address", ppp.ReasonAuthFailed},
		"no address at all":   {func(r *rig) { r.grant.Address = addr("224.0.0.1") }, auth.NotAllowed, "not an address that a client can have", ppp.ReasonAuthFailed},
		"a route to all":      {func(r *rig) { r.grant.Routes = only("0.0.0.0/0") }, auth.NotAllowed, "none that a client can have", ppp.ReasonAuthFailed},
		"another user's":      {func(r *rig) { r.grant.Routes = only("10.9.0.0/16"); r.book.other[network("10.9.8.0/24")] = "bob" }, auth.NotAllowed, `which the user "bob" has`, ppp.ReasonAuthFailed},
		"too many sessions":   {func(r *rig) { r.policy.SessionsPerUser = 1; r.book.users[user] = 1 }, auth.NotAllowed, "limits.sessions_per_user", ppp.ReasonAuthFailed},
		"a domain of nowhere": {func(r *rig) { r.grant.Domain = "corp example" }, auth.NotAllowed, "not a name that a client could use", ppp.ReasonAuthFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.change)
			leased, counted := r.four.InUse(), r.book.users[user]
			r.start()
			if j := one[Judged](r); j.Verdict != tt.verdict || !strings.Contains(j.Detail, tt.detail) || j.Name != user {
				t.Errorf("judged %+v", j)
			}
			r.pass(10 * time.Second)
			if e := one[Ended](r); e.Why != tt.why {
				t.Errorf("ended of %v, want %v", e.Why, tt.why)
			}
			if len(all[Up](r))+len(all[Account](r)) != 0 {
				t.Errorf("it was up:\n%s", r.story())
			}
			if r.four.InUse() != leased || r.book.users[user] != counted || len(r.book.held) != 0 {
				t.Errorf("it keeps %d leases, %+v", r.four.InUse()-leased, r.book)
			}
		})
	}
}

func lease(r *rig, users ...string) {
	for _, u := range users {
		if _, err := r.four.Lease(u, netip.Addr{}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// An old session of the same user may be in the way. The driver is asked once to make
// room, and the verdict follows after that.
func TestWhoIsBlockedComesInWhenThereIsRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		taken  bool
		change func(*rig)
	}{
		"sessions": {false, func(r *rig) {
			r.policy.SessionsPerUser, r.book.users[user] = 1, 1
			r.blocked = func() { r.book.Leave(user) }
		}},
		"address": {true, func(r *rig) {
			r.grant.Address = addr("10.83.0.2")
			lease(r, "old")
			r.blocked = func() { r.four.Release(addr("10.83.0.2")) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.change).start()
			if b := one[Blocked](r); b.Taken != tt.taken || b.Grant.User != user {
				t.Errorf("blocked: %+v", b)
			}
			if u := one[Up](r); u.Address != addr("10.83.0.2") {
				t.Errorf("up: %+v", u)
			}
			if j := one[Judged](r); j.Verdict != auth.Accepted || j.User != user {
				t.Errorf("judged: %+v", j)
			}
		})
	}
}

func TestOnlyTheLastTicketCounts(t *testing.T) {
	r := newRig(t)
	r.s.Start(r.now)
	r.client.Start(r.now)
	var ask Ask
	for ask.Request == nil {
		e, ok := r.next()
		if a, is := e.(Ask); is {
			ask = a
		} else if ok {
			r.onSession(e)
		} else if !r.step() {
			t.Fatal("nobody was asked about")
		}
	}
	accepted := auth.Response{Verdict: auth.Accepted, Success: "S=" + strings.Repeat("0", 40)}
	r.s.Verdict(r.now, ask.Ticket+1, Bound{}, accepted, nil)
	r.s.Retry(r.now, ask.Ticket)
	if r.settle(); len(r.events) != 0 {
		t.Fatalf("the verdict on another ticket counted:\n%s", r.story())
	}
	r.s.Verdict(r.now, ask.Ticket, Bound{Group: "staff", Certificate: true}, accepted, nil)
	r.settle()
	if j := one[Judged](r); j.Verdict != auth.NotAllowed || !strings.Contains(j.Detail, `the certificate is of the group "staff", the user of none`) {
		t.Errorf("judged %+v", j)
	}
	r.pass(time.Minute)
	r.isFree()
}

func TestASessionEndsWhenItsTimeIsOver(t *testing.T) {
	for name, tt := range map[string]struct {
		grant auth.Grant
		busy  time.Duration // how long there is traffic
		after time.Duration // when the session ends
		cause auth.Cause
		why   ppp.Reason
	}{
		"session":         {auth.Grant{SessionTimeout: time.Hour}, 2 * time.Hour, time.Hour, auth.SessionTimeout, ppp.ReasonSessionTimeout},
		"idle":            {auth.Grant{IdleTimeout: 10 * time.Minute}, 0, 10 * time.Minute, auth.IdleTimeout, ppp.ReasonIdleTimeout},
		"busy, then idle": {auth.Grant{IdleTimeout: 10 * time.Minute}, 20 * time.Minute, 30 * time.Minute, auth.IdleTimeout, ppp.ReasonIdleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.grant = tt.grant }).start()
			since := r.now
			for len(all[Ended](r)) == 0 && r.now.Sub(since) < 2*tt.after {
				if r.now.Sub(since) < tt.busy {
					r.traffic.InPackets++
				}
				r.pass(30 * time.Second)
			}
			if e := one[Ended](r); e.Why != tt.why {
				t.Errorf("ended of %v, want %v", e.Why, tt.why)
			}
			d := one[Down](r)
			if took := r.now.Sub(since); took < tt.after || took > tt.after+2*time.Minute || d.Cause != tt.cause || d.Link != tt.why {
				t.Errorf("after %v of %v, %v; want %v after %v", took, d.Cause, d.Link, tt.cause, tt.after)
			}
			r.isFree()
		})
	}
}

// If a session is ended from outside at any time, nothing of it is left, and each
// accounting start has a stop.
func TestASessionCanBeEndedAtAnyTime(t *testing.T) {
	grant := func(r *rig) { dual(r); r.grant.Routes = only("192.168.7.0/24") }
	for steps := 0; ; steps++ {
		r := newRig(t, grant)
		r.s.Start(r.now)
		r.client.Start(r.now)
		more := true
		for range steps {
			more = r.step() && more
		}
		r.end()
		r.end()
		r.isFree()
		var starts, stops int
		for _, a := range all[Account](r) {
			switch a.Record.Status {
			case auth.Start:
				starts++
			case auth.Stop:
				stops++
			}
		}
		if starts != stops || starts != len(all[Up](r)) || stops != len(all[Down](r)) {
			t.Fatalf("after %d steps: %d starts, %d stops:\n%s", steps, starts, stops, r.story())
		}
		if routes := all[Route](r); len(routes) > 0 && len(routes[len(routes)-1].Networks) != 0 {
			t.Fatalf("after %d steps %v lead to it", steps, routes[len(routes)-1])
		}
		if !more {
			if starts != 1 {
				t.Fatalf("it never came up:\n%s", r.story())
			}
			return
		}
	}
}

// A client that receives what is sent to it proves that, and a session with a silent
// client ends.
func TestAClientProvesThatItHears(t *testing.T) {
	r := newRig(t).start()
	r.s.Prove(r.now)
	if r.settle(); len(all[Proved](r)) != 1 {
		t.Fatalf("it proved nothing:\n%s", r.story())
	}
	r.deaf = true
	r.s.Prove(r.now)
	r.pass(time.Minute)
	if r.s.HandleData(r.now); len(all[Proved](r)) != 1 || len(all[Ended](r)) != 0 {
		t.Errorf("what hears nothing proves something:\n%s", r.story())
	}
	r.pass(5 * time.Minute)
	if e, d := one[Ended](r), one[Down](r); e.Why != ppp.ReasonEchoTimeout || d.Cause != auth.LostCarrier {
		t.Errorf("ended of %v, %v", e.Why, d.Cause)
	}
	r.isFree()
}
