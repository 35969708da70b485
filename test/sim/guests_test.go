package sim

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// Whoever found the pre-shared key, and has no user, takes no more places than
// one source's share, however many phases 1 they complete. Everybody else
// connects, and so does the source when its guests have gone.
func TestAKeyWithoutAUserTakesFewPlaces(t *testing.T) {
	in(t, func(t *testing.T) {
		const perSource = 2
		w := New(t, Options{Slots: 40, Backend: &slowFor{auth.NewLocal(aliceAndBob), "bob", 40 * time.Second}, Policy: func(p *vpn.Policy) {
			p.IKE.Suites, p.HalfOpenPerSource = cheap, perSource
		}})
		// Sixty addresses of one IPv6 network would be one source; here they are
		// hosts behind one NAT.
		nat := w.Net.NAT("198.51.100.1")
		var wg sync.WaitGroup
		for i := range 60 {
			l := w.Laptop(nat.Host(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String()), func(c *client.Config) {
				c.Suites = cheap
			})
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				_, _ = l.Dial(ctx, client.Target{
					Local: l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: "bob", Password: "guessed", Silent: true,
				})
			})
		}
		time.Sleep(15 * time.Second)
		if n := len(w.Server.List()); n == 0 || n > 4*perSource {
			t.Errorf("%d places are taken without a user, want at most %d", n, 4*perSource)
		}
		honest := w.Laptop(w.Net.Host("198.51.100.7"), nil)
		d, err := honest.Connect(ServerAddr)
		wg.Wait()
		if err != nil {
			t.Fatalf("the honest client: %v", err)
		}
		passes(t, w, honest, d, 1)
		crowded := 0
		for _, e := range All[vpn.ConnDown](w.Events) {
			if e.Why == vpn.EndCrowded {
				crowded++
			}
		}
		if crowded == 0 {
			t.Error("nobody was refused: the test proves nothing")
		}
		time.Sleep(2 * time.Minute)
		late := w.Laptop(nat.Host("10.0.2.1"), nil)
		if d, err = late.Connect(ServerAddr); err != nil {
			t.Fatalf("a client of that source, afterwards: %v", err)
		}
		passes(t, w, late, d, 100)
		if n := w.Server.Counts(); n.Guests != 0 {
			t.Errorf("%d sources are still counted", n.Guests)
		}
	})
}
