package vpn

import (
	"net/netip"
	"sync"

	"github.com/adit-vpn/adit/internal/session"
)

// registry records how many sessions each user has, and which networks. It is safe for
// concurrent use.
type registry struct {
	mu     sync.Mutex
	users  map[string]int // the number of sessions of each user
	owners owners
}

var _ session.Registry = (*registry)(nil)

// Enter implements session.Registry.
func (r *registry) Enter(user string, limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit > 0 && r.users[user] >= limit {
		return false
	}
	if r.users == nil {
		r.users = map[string]int{}
	}
	r.users[user]++
	return true
}

// Leave implements session.Registry.
func (r *registry) Leave(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users[user]--; r.users[user] <= 0 {
		delete(r.users, user)
	}
}

// count is the number of users that have a session.
func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.users)
}

// Hold implements session.Registry. The error names both users, for the administrator.
func (r *registry) Hold(user string, networks []netip.Prefix) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var leased *session.Overlap
	for _, p := range networks {
		other, found := r.owners.overlap(p, user)
		if !found {
			continue
		}
		o := &session.Overlap{User: user, Network: p, Other: other.user, Theirs: other.network, Leased: other.leased}
		if !o.Leased {
			return o
		}
		leased = o
	}
	if leased != nil {
		return leased
	}
	r.owners.take(user, networks, false)
	return nil
}

// Keep implements session.Registry.
func (r *registry) Keep(user string, networks []netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners.take(user, networks, true)
}

// Unhold implements session.Registry.
func (r *registry) Unhold(user string, networks []netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range networks {
		r.owners.remove(p, user)
	}
}

func (t *owners) take(user string, networks []netip.Prefix, leased bool) {
	for _, p := range networks {
		t.add(p, user, leased)
	}
}
