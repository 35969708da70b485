package auth

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// again is an attempt of a connection that has made some before, unless it is the first.
func again(ctx context.Context, g Backend, name string, connection, before uint32) (Verdict, error) {
	answer, err := g.Authenticate(ctx, &Request{User: name, Method: PAP, Password: secret.String("right"), Call: Call{
		Remote: netip.MustParseAddrPort("192.0.2.1:4500"), Port: connection, Before: before,
	}})
	return answer.Verdict, err
}

// A client that has a password and authenticates as often as possible, on one connection
// or on many, one attempt after another or all at once, is slowed to a few attempts a
// second. First attempts of connections are not slowed, even those of the same user, nor
// are other users.
func TestAuthenticatingAgainIsSlowed(t *testing.T) {
	for name, tt := range map[string]struct {
		connections int
		impatient   bool // it gives each attempt up at once, and begins another
		most        int  // accepted in a minute
	}{
		"one connection":                   {1, false, 66},
		"one that waits for nothing":       {1, true, 66},
		"many connections":                 {50, false, 390}, // the first five of each, and two a second
		"many, which wait for nothing":     {50, true, 390},
		"as many as there are connections": {300, false, 1700},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGuard(NewLocal([]User{{Name: "alice", Password: secret.String("right")}, {Name: "bob", Password: secret.String("right")}}))
				ctx, stop := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				var accepted, late atomic.Int64
				began, pause := time.Now(), time.Duration(tt.connections)*time.Second/300
				for c := range tt.connections {
					wg.Go(func() {
						for before := uint32(0); ctx.Err() == nil; before++ {
							patience, cancel := ctx, context.CancelFunc(func() {})
							if tt.impatient {
								patience, cancel = context.WithTimeout(ctx, pause)
							}
							if v, _ := again(patience, g, "alice", uint32(c+1), before); v == Accepted {
								accepted.Add(1)
								if time.Since(began) > 30*time.Second {
									late.Add(1)
								}
							}
							cancel()
							time.Sleep(pause)
						}
					})
				}
				time.Sleep(time.Minute)
				if n := accepted.Load(); n == 0 || n > int64(tt.most) {
					t.Errorf("%d attempts were accepted in a minute, want at most %d", n, tt.most)
				}
				if n := late.Load(); n > 75 {
					t.Errorf("%d in the last 30 seconds, want at most 2 a second", n)
				}
				began = time.Now()
				for user, before := range map[string]uint32{"alice": 0, "bob": 1} {
					if v, err := again(ctx, g, user, 5000, before); v != Accepted || time.Since(began) != 0 {
						t.Errorf("%s on another connection: %v, %v, after %v", user, v, err, time.Since(began))
					}
				}
				stop()
				wg.Wait()
			})
		})
	}
}
