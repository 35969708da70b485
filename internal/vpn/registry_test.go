package vpn

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/session"
)

// A network that two sessions of a user own becomes free when both have returned it.
func TestANetworkIsFreeWhenItsLastOwnerGoes(t *testing.T) {
	var r registry
	routes := []netip.Prefix{netip.MustParsePrefix("172.16.0.0/16"), netip.MustParsePrefix("10.83.0.9/32")}
	within := []netip.Prefix{netip.MustParsePrefix("172.16.5.0/24")}
	for range 2 {
		if err := r.Hold("alice", routes); err != nil {
			t.Fatal(err)
		}
	}
	r.Keep("alice", within)
	for n := range 3 {
		var taken *session.Overlap
		if err := r.Hold("bob", within); !errors.As(err, &taken) || taken.Other != "alice" || taken.User != "bob" || taken.Network != within[0] {
			t.Fatalf("after %d were given back: %v", n, err)
		}
		if n == 2 {
			r.Unhold("alice", within)
		} else {
			r.Unhold("alice", routes)
		}
	}
	if err := r.Hold("bob", within); err != nil {
		t.Error(err)
	}
	r.Unhold("bob", within)
	if len(r.owners.list) != 0 || r.owners.lengths != [2][129]int32{} {
		t.Errorf("left are %v", r.owners.list)
	}
}

func TestAUserHasAsManySessionsAsTheLimitAllows(t *testing.T) {
	var r registry
	enter := func(user string, limit int, want bool) {
		t.Helper()
		if r.Enter(user, limit) != want {
			t.Errorf("%s with a limit of %d and %v: want %v", user, limit, r.users, want)
		}
	}
	enter("alice", 2, true)
	enter("alice", 2, true)
	enter("alice", 2, false)
	enter("bob", 2, true)
	if n := r.count(); n != 2 {
		t.Errorf("%d users, want 2", n)
	}
	r.Leave("alice")
	enter("alice", 2, true)
	enter("alice", 0, true) // no limit
	for _, user := range []string{"alice", "alice", "alice", "bob"} {
		r.Leave(user)
	}
	if n := r.count(); n != 0 {
		t.Errorf("left are %v", r.users)
	}
}
