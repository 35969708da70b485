package session

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ppp"
)

func TestAccountingCountsWhatOneSessionCarried(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.policy.InterimInterval = 5 * time.Minute
		r.traffic.Counters = Counters{7, 700, 8, 800} // traffic of an earlier session on this link
	}).start()
	r.traffic.Counters = Counters{17, 1700, 28, 2800}
	r.pass(5 * time.Minute)
	r.s.Close(r.now, ppp.ReasonAdmin)
	r.traffic.Counters = Counters{27, 2700, 48, 4800} // packets pass until the driver has acted on Route
	r.settle()
	got := all[Account](r)
	if len(got) != 3 {
		t.Fatalf("%d records, want 3", len(got))
	}
	if d := got[1].Record.Duration; d < 4*time.Minute+30*time.Second || d > 5*time.Minute {
		t.Errorf("an interim after %v, want up to a tenth before 5 minutes", d)
	}
	want := []auth.Record{
		{Status: auth.Start},
		{Status: auth.Interim, Duration: got[1].Record.Duration, InputPackets: 10, InputOctets: 1000, OutputPackets: 20, OutputOctets: 2000},
		{Status: auth.Stop, Duration: 5 * time.Minute, InputPackets: 20, InputOctets: 2000, OutputPackets: 40, OutputOctets: 4000, Cause: auth.AdminReset},
	}
	for i, w := range want {
		g := got[i].Record
		if g.Status != w.Status || g.Duration != w.Duration || g.InputPackets != w.InputPackets || g.InputOctets != w.InputOctets ||
			g.OutputPackets != w.OutputPackets || g.OutputOctets != w.OutputOctets || g.Cause != w.Cause || g.User != user || g.Address != addr("10.83.0.2") {
			t.Errorf("record %d is %+v, want %+v", i, g, w)
		}
	}
	if d := one[Down](r); d.InPackets != 20 || d.OutOctets != 4000 || d.Cause != auth.AdminReset || d.Link != ppp.ReasonAdmin {
		t.Errorf("down: %+v", d)
	}
}

// A link whose client authenticates again, perhaps as another user, gets a new session
// with its own id and counters from zero. Its addresses are leased only when no route
// leads to the link any more.
func TestAnotherUserOnTheSameLinkIsAnotherSession(t *testing.T) {
	r := newRig(t).start()
	first := one[Up](r)
	r.traffic.Counters = Counters{10, 1000, 20, 2000}
	r.cfg.User, r.cfg.Password = "bob", secret.String("builder")
	_ = r.client.HandlePacket(r.now, []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad, 0, 4}) // Configure-Request without options
	if err := r.s.HandleFrame(r.now, []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad, 0, 4}); err != nil {
		t.Fatal(err)
	}
	r.pass(10 * time.Second)
	ups, records := all[Up](r), all[Account](r)
	if len(ups) != 2 || len(records) != 3 {
		t.Fatalf("%d ups, %d records:\n%s", len(ups), len(records), r.story())
	}
	if second := ups[1]; second.User != "bob" || second.ID == first.ID || second.InPackets != 0 || second.ID != records[2].Record.Call.SessionID {
		t.Errorf("%+v after %+v", second, first)
	}
	if stop := records[1].Record; stop.Status != auth.Stop || stop.User != user || stop.InputPackets != 10 || stop.Call.SessionID != first.ID {
		t.Errorf("stop: %+v", stop)
	}
	if r.book.users[user] != 0 || r.book.users["bob"] != 1 {
		t.Errorf("sessions: %v", r.book.users)
	}
}

// What a RADIUS server grants may be a lease of its own. If the session never comes up, a
// Start and a Stop give it back, once, and what follows on the link is another session.
func TestALeaseOfWhoNeverCameUpIsGivenBack(t *testing.T) {
	mine := addr("10.83.0.3")
	grant := auth.Grant{By: auth.ByRADIUS, Address: mine, Class: [][]byte{[]byte("c")}}
	leaves := func(r *rig) { // once it was accepted
		for len(all[Leased](r)) == 0 && r.step() {
		}
		r.end()
	}
	ends := func(r *rig) {
		r.settle()
		r.pass(time.Minute)
	}
	for name, tt := range map[string]struct {
		change func(*rig)
		run    func(*rig)
		cause  auth.Cause // 0: no records
	}{
		"leaves":               {func(*rig) {}, leaves, auth.LostCarrier},
		"leaves, of IPv6":      {func(r *rig) { r.grant.Address, r.grant.IPv6.Prefix = netip.Addr{}, network("2001:db8:9::/64") }, leaves, auth.LostCarrier},
		"local":                {func(r *rig) { r.grant.By = auth.ByLocal }, leaves, 0},
		"of our pool":          {func(r *rig) { r.grant.Address = netip.Addr{} }, leaves, 0},
		"refused: a route":     {func(r *rig) { r.grant.Routes = only("0.0.0.0/0") }, ends, auth.ServiceUnavail},
		"refused: in use":      {func(r *rig) { lease(r, "bob", "carol") }, ends, auth.ServiceUnavail},
		"refused: too many":    {func(r *rig) { r.policy.SessionsPerUser, r.book.users[user] = 1, 1 }, ends, auth.ServiceUnavail},
		"refused by a backend": {func(r *rig) { r.cfg.Password = secret.String("guessed") }, ends, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.grant = grant; tt.change(r) })
			id := r.s.ID()
			r.s.Start(r.now)
			r.client.Start(r.now)
			tt.run(r)
			got := all[Account](r)
			if tt.cause == 0 {
				if len(got) > 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got) != 2 || got[0].Record.Status != auth.Start || got[1].Record.Status != auth.Stop {
				t.Fatalf("%+v, want a Start and a Stop", got)
			}
			for _, a := range got {
				if g := a.Record; g.Call.SessionID != id || g.User != user && g.User != "" || g.Address != r.grant.Address || g.IPv6 != r.grant.IPv6 || g.By != auth.ByRADIUS || len(g.Class) != 1 {
					t.Errorf("%+v", g)
				}
			}
			if stop := got[1].Record; stop.Cause != tt.cause || stop.InputOctets != 0 || stop.Duration != 0 {
				t.Errorf("%+v, want the cause %v", stop, tt.cause)
			}
			if r.s.ID() == id {
				t.Error("the link's next session has the same id")
			}
		})
	}
	t.Run("up", func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.grant = grant }).start()
		r.s.Close(r.now, ppp.ReasonAdmin)
		r.settle()
		r.end()
		if got := all[Account](r); len(got) != 2 || got[1].Record.Cause != auth.AdminReset {
			t.Errorf("%+v", got)
		}
	})
}

// Interims of sessions that came up together spread.
func TestInterimsSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 50 {
		r := newRig(t, func(r *rig) { r.policy.InterimInterval = 10 * time.Minute; r.rand.n = uint64(1000 * i) }).start()
		r.pass(time.Hour)
		var last time.Duration
		for _, a := range all[Account](r)[1:] {
			step := a.Record.Duration - last
			if last = a.Record.Duration; step < 9*time.Minute || step > 10*time.Minute {
				t.Fatalf("an interim after %v", step)
			}
			seen[step.Truncate(10*time.Second)] = true
		}
	}
	if len(seen) < 5 {
		t.Errorf("they come after %v", seen)
	}
}

// Each end of a link has its cause: RFC 2866, section 5.10.
func TestEveryReasonHasItsCause(t *testing.T) {
	want := map[auth.Cause][]ppp.Reason{
		auth.UserRequest:    {ppp.ReasonPeerTerminated, ppp.ReasonUserRequest},
		auth.LostCarrier:    {ppp.ReasonEchoTimeout, ppp.ReasonNoAnswer, ppp.ReasonLowerLayer},
		auth.IdleTimeout:    {ppp.ReasonIdleTimeout},
		auth.SessionTimeout: {ppp.ReasonSessionTimeout},
		auth.AdminReset:     {ppp.ReasonAdmin},
		auth.AdminReboot:    {ppp.ReasonServerStop},
		auth.NASError:       {ppp.ReasonInternal},
		auth.NASRequest:     {ppp.ReasonReplaced, ppp.ReasonQuota},
		auth.PortPreempted:  {ppp.ReasonPreempted},
		auth.ServiceUnavail: {ppp.ReasonNoAddress},
		auth.UserError: {ppp.ReasonAuthFailed, ppp.ReasonAuthRefused, ppp.ReasonAuthTimeout, ppp.ReasonServerUnverified, ppp.ReasonUnproven,
			ppp.ReasonNegotiation, ppp.ReasonSetupTimeout, ppp.ReasonNoNetwork, ppp.ReasonLoop, ppp.ReasonRejected},
	}
	known := 0
	for cause, reasons := range want {
		for _, r := range reasons {
			known++
			if got := CauseOf(r); got != cause {
				t.Errorf("%v: %v, want %v", r, got, cause)
			}
		}
	}
	for r := range ppp.Reason(255) {
		if !strings.HasPrefix(r.String(), "reason ") {
			known--
		}
	}
	if known != 0 {
		t.Errorf("%d reasons too many in the table, or too few", known)
	}
}
