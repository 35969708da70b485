package session

import (
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// A challenge goes to the client of a session that is open elsewhere, and only that
// session's user passes it.
func TestOnlyTheUserOfASessionPassesItsChallenge(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*rig)
		passes bool
		detail string
	}{
		"the user": {func(*rig) {}, true, ""},
		"the name in another spelling": {func(r *rig) {
			r.policy.Identity, r.cfg.User = auth.Identity{FoldCase: true, StripDomain: true}, `CORP\alice`
		}, true, ""},
		"another":        {func(r *rig) { r.cfg.User, r.cfg.Password = "bob", secret.String("builder") }, false, errNotTheirs.Error()},
		"wrong password": {func(r *rig) { r.cfg.Password = secret.String("guessed") }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).start()
			tt.change(r)
			id := r.s.ID()
			r.s, r.events = Challenge(r.env(), id, user, auth.MSCHAPv2, r.now), nil
			r.settle()
			if j := one[Judged](r); (j.Verdict == auth.Accepted) != tt.passes || tt.detail != "" && j.Detail != tt.detail {
				t.Errorf("judged %+v", j)
			}
			if got := len(all[Passed](r)) == 1; got != tt.passes {
				t.Errorf("passed: %v", got)
			}
			if r.s.ID() != id || len(all[Up](r))+len(all[Leased](r))+len(all[Account](r)) != 0 {
				t.Errorf("a challenge is not a session:\n%s", r.story())
			}
		})
	}
}
