package session

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

func again(r *rig) {
	r.grant = auth.Grant{
		SessionTimeout: time.Hour, Again: &auth.Again{State: []byte("first")}, Class: [][]byte{[]byte("gold")},
		Address: addr("10.83.0.3"), Routes: only("192.168.7.0/24"),
	}
}

// At its Session-Timeout the user authenticates again, with the State of the grant. Accepted,
// the session goes on as one, with what is granted now and the addresses that it has.
func TestASessionGoesOnWhenItsUserAuthenticatesAgain(t *testing.T) {
	r := newRig(t, again).start()
	id := r.s.ID()
	r.pass(time.Hour - time.Second)
	if n := len(all[Ask](r)); n != 1 {
		t.Fatalf("asked %d times before the time was over", n)
	}
	r.grant = auth.Grant{
		SessionTimeout: 30 * time.Minute, IdleTimeout: 5 * time.Minute, Again: &auth.Again{State: []byte("second")},
		Class: [][]byte{[]byte("silver")}, Limits: auth.Limits{Rates: limit.Rates{In: 1000}}, Address: addr("10.83.0.2"),
	}
	busy := func(d time.Duration) {
		for end := r.now.Add(d); r.now.Before(end); r.pass(10 * time.Second) {
			r.traffic.InPackets++
		}
	}
	busy(29 * time.Minute)
	asked := all[Ask](r)
	if len(asked) != 2 || asked[0].Request.State != nil || string(asked[1].Request.State) != "first" || asked[1].Request.Call.SessionID != id {
		t.Fatalf("asked %d times: %+v", len(asked), asked[len(asked)-1].Request)
	}
	busy(2 * time.Minute)
	asked = all[Ask](r)
	if len(asked) != 3 || string(asked[2].Request.State) != "second" {
		t.Fatalf("the new Session-Timeout does not count from then: asked %d times", len(asked))
	}
	if j := all[Judged](r); len(j) != 3 || j[2].Verdict != auth.Accepted || j[2].User != user || !strings.Contains(strings.Join(j[1].Warnings, " "), "10.83.0.2") {
		t.Errorf("judged %+v", j)
	}
	if up := one[Up](r); up.Address != addr("10.83.0.3") || r.s.Info().Address != up.Address || r.s.ID() != id || len(r.s.Routes()) != 1 {
		t.Errorf("up: %+v, now %+v", up, r.s.Info())
	}
	if l := all[Limit](r); len(l) == 0 || l[len(l)-1].Rates.In != 1000 {
		t.Errorf("limits %+v", l)
	}
	r.pass(10 * time.Minute) // Idle-Timeout of the second grant
	records := all[Account](r)
	last := records[len(records)-1].Record
	if len(records) != 2 || last.Status != auth.Stop || last.Call.SessionID != id || last.Cause != auth.IdleTimeout || string(last.Class[0]) != "silver" ||
		last.Duration < 90*time.Minute || last.Address != addr("10.83.0.3") {
		t.Errorf("%d records, the last %+v", len(records), last)
	}
	r.isFree()
}

// Who does not pass again loses the session, whose time was over.
func TestASessionEndsWhoseUserDoesNotPassAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*rig)
		detail  string
		verdict auth.Verdict
	}{
		"a wrong password":      {func(r *rig) { r.cfg.Password = secret.String("forgotten") }, "", auth.BadCredentials},
		"another user":          {func(r *rig) { r.cfg.User, r.cfg.Password = "bob", secret.String("builder") }, "another user answered", auth.NotAllowed},
		"out of hours":          {func(r *rig) { r.grant.Until = r.now }, "is over", auth.NotAllowed},
		"a client that is deaf": {func(r *rig) { r.deaf = true }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, again).start()
			r.pass(time.Hour - time.Second)
			tt.change(r)
			r.pass(2 * time.Minute)
			j := all[Judged](r)
			if tt.verdict != 0 && (len(j) != 2 || j[1].Verdict != tt.verdict || !strings.Contains(j[1].Detail, tt.detail) || j[1].User != "") {
				t.Errorf("judged %+v", j)
			}
			if d, e := one[Down](r), one[Ended](r); d.Cause != auth.SessionTimeout || e.Why != ppp.ReasonSessionTimeout {
				t.Errorf("ended by %v, %v", d.Cause, e.Why)
			}
			r.isFree()
		})
	}
}

// A session that has to end at a time, or with the user's hours, ends then, and is not asked again.
func TestAnAbsoluteEndIsOne(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"a time": func(r *rig) { r.grant.Until = r.now.Add(time.Hour) },
		"hours":  func(r *rig) { r.grant.Limits.Hours = []limit.Hours{hoursAround(r.now)} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, again, func(r *rig) { r.grant.SessionTimeout = 0 }, change).start()
			r.pass(2 * time.Hour)
			if n := len(all[Ask](r)); n != 1 || one[Down](r).Cause != auth.SessionTimeout {
				t.Errorf("asked %d times:\n%s", n, r.story())
			}
			r.isFree()
		})
	}
}

// Addresses that a server grants anew are not leased, nor held.
func TestASessionKeepsWhatItHoldsWhenItGoesOn(t *testing.T) {
	r := newRig(t, again).start()
	r.pass(time.Hour - time.Second)
	r.grant.Address, r.grant.Routes = netip.Addr{}, only("10.9.0.0/16")
	r.pass(time.Minute)
	if len(all[Judged](r)) != 2 || r.four.InUse() != 1 || r.book.users[user] != 1 || r.book.held[network("192.168.7.0/24")] != user || r.book.held[network("10.9.0.0/16")] != "" {
		t.Errorf("it holds %+v", r.book)
	}
	r.end()
	r.isFree()
}
