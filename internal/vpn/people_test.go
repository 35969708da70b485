package vpn

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/ppp"
)

// The connections of a user are those that show a session of that user, whatever comes and
// goes, and nobody has to look at other users' to know: the server's lock is not needed.
func TestTheConnectionsOfAUser(t *testing.T) {
	s := New(Config{Policy: &Policy{PPP: &ppp.Config{Methods: []ppp.Method{ppp.MethodMSCHAPv2}}, HalfOpen: 100, HalfOpenPerSource: 100}, Observer: &refusals{}})
	var all []*Conn
	for i := range 40 {
		at := netip.AddrFrom4([4]byte{198, 51, 100, byte(i / 4)})
		c := s.newConn(time.Unix(1e9, 0), ike.Path{Remote: netip.AddrPortFrom(at, 4500)})
		c.identity(ike.Peer{PSK: "psk[0]"}, netip.Addr{})
		all = append(all, c)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		c := all[random.IntN(len(all))]
		if random.IntN(5) == 0 { // it moves
			c.path.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(random.IntN(10))}), 4500)
		}
		var st *Status
		if random.IntN(5) > 0 {
			st = &Status{Remote: c.path.Remote}
			for range random.IntN(4) {
				st.Sessions = append(st.Sessions, session.Info{User: fmt.Sprint("user", random.IntN(6)), Address: netip.AddrFrom4([4]byte{10, 83, 0, byte(random.IntN(4))})})
			}
		}
		c.show(st)
		user, asks := fmt.Sprint("user", random.IntN(6)), all[random.IntN(len(all))]
		grant := auth.Grant{Address: netip.AddrFrom4([4]byte{10, 83, 0, 1})}
		var want, holders, lookalikes []*Conn
		for _, other := range all {
			st := other.info.Load()
			if other == asks || st == nil || !st.has(user) {
				continue
			}
			want = append(want, other)
			if st.holds(user, grant) {
				holders = append(holders, other)
			}
			if st.Remote.Addr() == asks.path.Remote.Addr() {
				lookalikes = append(lookalikes, other)
			}
		}
		s.mu.Lock()
		got, gotHolders, looks := asks.ofUser(user), asks.holders(user, grant), asks.lookalikes(user)
		s.mu.Unlock()
		for _, x := range []struct{ got, want []*Conn }{{got, want}, {gotHolders, holders}, {looks, lookalikes}} {
			byID := func(a, b *Conn) int { return int(a.id) - int(b.id) }
			slices.SortFunc(x.got, byID)
			if !slices.Equal(x.got, x.want) {
				t.Fatalf("%s: %d connections, want %d", user, len(x.got), len(x.want))
			}
		}
	}
	for _, c := range all {
		c.show(nil)
	}
	if n := len(s.people.of); n != 0 {
		t.Errorf("%d users are left", n)
	}
}
