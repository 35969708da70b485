package sim

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// A client that goes away at any time of a login leaves nothing: no lease of our pool, and none of a
// RADIUS server's, which is freed by a Start and a Stop that name it.
func TestALoginThatIsCancelledLeavesNoLease(t *testing.T) {
	const verdictAfter = 500 * time.Millisecond
	early, accepted, up := 0, 0, 0
	for name, grant := range map[string]auth.Grant{
		"of ours":           {By: auth.ByRADIUS},
		"of RADIUS servers": {By: auth.ByRADIUS, Address: netip.MustParseAddr("10.83.0.77")},
	} {
		for after := time.Duration(0); after < 2*time.Second; after += 50 * time.Millisecond {
			in(t, func(t *testing.T) {
				b, from := &books{}, backend(grant)
				from.delay = verdictAfter
				w := New(t, Options{Backend: from, Accountant: b, Policy: func(p *vpn.Policy) { p.IKE.Suites = cheap }})
				w.Net.SetPolicy(udptest.Policy{Delay: 40 * time.Millisecond})
				free := w.Pool.InUse()
				l := w.Laptop(w.Net.Host("198.51.100.7"), func(c *client.Config) { c.Suites = cheap })
				ctx, cancel := context.WithTimeout(t.Context(), after)
				d, err := l.Dial(ctx, client.Target{Local: l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: User, Password: Password})
				cancel()
				if err == nil {
					d.Close()
				}
				time.Sleep(5 * time.Minute)
				if n := w.Pool.InUse(); n != free {
					t.Errorf("%s, after %v: %d addresses stay leased", name, after, n-free)
				}
				var starts, stops []auth.Record
				for _, r := range b.all() {
					if r.Status == auth.Start {
						starts = append(starts, r)
					} else {
						stops = append(stops, r)
					}
				}
				verdicts, ups := len(All[vpn.AuthDone](w.Events)), len(All[vpn.SessionUp](w.Events))
				want := ups
				if verdicts > 0 && grant.Address.IsValid() {
					want = 1
				}
				if len(starts) != want || len(stops) != want {
					t.Fatalf("%s, after %v: %d verdicts, %d sessions: records %+v, %+v", name, after, verdicts, ups, starts, stops)
				}
				for i := range stops {
					if s := stops[i]; s.Call.SessionID != starts[i].Call.SessionID || s.User != User || s.Cause == 0 || grant.Address.IsValid() && s.Address != grant.Address {
						t.Errorf("%s, after %v: %+v", name, after, s)
					}
				}
				early, accepted, up = early+1-min(verdicts, 1), accepted+verdicts-ups, up+ups
			})
		}
	}
	if early == 0 || accepted == 0 || up == 0 {
		t.Errorf("%d left before there was a verdict, %d after it, %d when they were up: want some of each", early, accepted, up)
	}
}
