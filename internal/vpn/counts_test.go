package vpn

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// Connections come, prove a key, are evicted, bring users, hold bytes and go, in any
// order. Each is evicted at most once, no count exceeds its bound, and all counts are
// zero at the end.
func TestCountsReturnToZero(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := New(Config{Policy: &Policy{HalfOpen: 8, HalfOpenPerSource: 2, StrangerMemory: 1 << 20}, Observer: &refusals{}})
		s.limit = 12
		var live []*Conn
		for range 400 {
			if len(live) == 0 || r.IntN(3) == 0 {
				a := netip.AddrFrom4([4]byte{198, 51, byte(r.IntN(3)), byte(r.IntN(4))})
				live = append(live, s.newConn(time.Time{}, ike.Path{Remote: netip.AddrPortFrom(a, uint16(r.Uint32()))}))
				continue
			}
			i := r.IntN(len(live))
			c := live[i]
			switch r.IntN(6) {
			case 0:
				if !c.served && c.step == 0 && s.admit(c) {
					s.known(c)
					c.step = stepKey + 1
				}
			case 1:
				if c.step > 0 {
					c.reach(c.step + 1)
				}
			case 2:
				if c.step > 0 {
					c.served = true
					s.arrive(c)
				}
			case 3:
				c.holding.hold(r.IntN(64 << 10))
			case 4:
				s.moved(c, c.path.Remote)
			case 5:
				s.forget(c)
				live = append(live[:i], live[i+1:]...)
			}
			if s.placed < 0 || s.placed > s.limit || s.strangers.Len() > 8 || s.guests.Len() > 8 || s.budget.used < 0 || s.budget.used > s.budget.limit {
				t.Fatalf("seed %d: %d placed, %d strangers, %d guests, %d bytes", seed, s.placed, s.strangers.Len(), s.guests.Len(), s.budget.used)
			}
		}
		for _, c := range live {
			s.forget(c)
		}
		if s.placed != 0 || s.strangers.Len()+s.guests.Len()+len(s.strangers.Origins())+len(s.guests.Origins()) != 0 ||
			s.budget.used != 0 || len(s.budget.extra) != 0 || len(s.conns)+len(s.endpoints) != 0 {
			t.Fatalf("seed %d: left are %d places, %d strangers of %v, %d guests of %v, %d bytes of %v, %d connections at %v", seed, s.placed,
				s.strangers.Len(), s.strangers.Origins(), s.guests.Len(), s.guests.Origins(), s.budget.used, s.budget.extra, len(s.conns), s.endpoints)
		}
	}
}
