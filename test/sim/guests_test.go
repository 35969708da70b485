package sim

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// A peer that found out the pre-shared key, and has no user, takes no more places than
// one source's share, however many phases 1 it completes. Everybody else connects, and so
// does that source once its guests have gone.
func TestAKeyWithoutAUserTakesFewPlaces(t *testing.T) {
	in(t, func(t *testing.T) {
		const perSource, server = 2, "2001:db8::1"
		n := udptest.New(1)
		w := New(t, Options{
			Net: n, Host: n.Host(server), Slots: 40, Backend: &slowFor{auth.NewLocal(aliceAndBob), "bob", 40 * time.Second},
			Policy: func(p *vpn.Policy) { p.IKE.Suites, p.HalfOpenPerSource = cheap, perSource },
		})
		// Sixty addresses of one /64, which is one source.
		l, from := crowd(w, 60, "2001:db8:66::1", nil)
		var wg sync.WaitGroup
		for i, a := range from {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				_, _ = l.Dial(ctx, client.Target{Local: a, Server: netip.MustParseAddr(server), User: "bob", Password: "guessed", Silent: true})
			})
		}
		time.Sleep(15*time.Second + 100*time.Millisecond) // between two attempts to dial
		if n := len(w.Server.List()); n == 0 || n > 4*perSource {
			t.Errorf("%d places are taken without a user, want at most %d", n, 4*perSource)
		}
		honest := w.Laptop(n.Host("2001:db8:7::1"), nil)
		d, err := honest.Connect(server)
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
		late := w.Laptop(n.Host("2001:db8:66::ffff"), nil)
		if d, err = late.Connect(server); err != nil {
			t.Fatalf("a client of that source, afterwards: %v", err)
		}
		passes(t, w, late, d, 100)
		if now := w.Server.Counts(); now.Guests != 0 {
			t.Errorf("%d sources are still counted", now.Guests)
		}
	})
}
