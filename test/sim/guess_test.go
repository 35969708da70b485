package sim

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// asked counts the attempts that reach a backend.
type asked struct {
	auth.Backend
	n atomic.Int64
}

func (a *asked) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	a.n.Add(1)
	return a.Backend.Authenticate(ctx, r)
}

// Many connections guess passwords at once. They wait for the verdict, or give up at once
// and come again. Only a few attempts per second reach the backend. Meanwhile an honest
// client behind the same NAT gets in: within 3 seconds if it has connected from there
// before, even if its user name is being guessed, and otherwise before a client gives up.
func TestGuessingReachesTheBackendSlowly(t *testing.T) {
	for name, tt := range map[string]struct {
		user func(i int) string
		most int64 // attempts per second
	}{
		"of one name":         {func(int) string { return "bob" }, 8},
		"of the honest one's": {func(int) string { return User }, 20},
		"of many names":       {func(i int) string { return fmt.Sprint("user", i) }, 8},
	} {
		for how, patience := range map[string]time.Duration{"waiting": 15 * time.Second, "in haste": 500 * time.Millisecond} {
			t.Run(name+", "+how, func(t *testing.T) {
				in(t, func(t *testing.T) {
					backend := &asked{Backend: auth.NewLocal([]auth.User{{Name: User, Password: secret.String(Password)}, {Name: "bob", Password: secret.String(Password)}, {Name: "carol", Password: secret.String(Password)}})}
					w := New(t, Options{Backend: auth.NewGuard(backend), Policy: func(p *vpn.Policy) {
						p.IKE.Suites, p.HalfOpen, p.HalfOpenPerSource = cheap, 4096, 256
					}})
					w.Net.SetPolicy(udptest.Policy{Delay: 5 * time.Millisecond})
					nat := w.Net.NAT("198.51.100.7")
					honest := w.Laptop(nat.Host("192.168.1.10"), func(c *client.Config) { c.Suites = cheap })
					d, err := honest.Connect(ServerAddr)
					if err != nil {
						t.Fatal(err)
					}
					d.Close()
					ctx, stop := context.WithCancel(context.Background())
					defer stop()
					var tries atomic.Int64
					for i := range 15 {
						evil := w.Laptop(nat.Host(fmt.Sprintf("192.168.2.%d", i+1)), func(c *client.Config) { c.Suites = cheap })
						go func() {
							for ctx.Err() == nil {
								ctx, cancel := context.WithTimeout(ctx, patience)
								_, _ = evil.Dial(ctx, client.Target{Local: evil.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: tt.user(int(tries.Add(1))), Password: "guessed", Silent: true})
								cancel()
							}
						}()
					}
					time.Sleep(15 * time.Second)
					backend.n.Store(0)
					const seconds = 10
					time.Sleep(seconds * time.Second)
					if n := backend.n.Load(); n > tt.most*seconds {
						t.Errorf("%d attempts in %d seconds reached the backend, of %d", n, seconds, tries.Load())
					}
					connects := func(l *Laptop, user string, limit time.Duration) {
						t.Helper()
						ctx, cancel := context.WithTimeout(context.Background(), limit)
						defer cancel()
						if _, err := l.Dial(ctx, client.Target{Local: l.Host.Addr(), Server: netip.MustParseAddr(ServerAddr), User: user, Password: Password}); err != nil {
							t.Errorf("%s does not connect from behind the same NAT within %v: %v", user, limit, err)
						}
					}
					connects(honest, User, 3*time.Second)
					connects(w.Laptop(nat.Host("192.168.1.11"), func(c *client.Config) { c.Suites = cheap }), "carol", 10*time.Second)
				})
			})
		}
	}
}
