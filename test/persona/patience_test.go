package persona

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// telephone is a backend that asks the user on a telephone.
type telephone struct {
	auth.Backend
	after time.Duration

	mu     sync.Mutex
	asked  int
	gaveUp time.Duration // after which the question was broken off
}

func (p *telephone) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	began := time.Now()
	select {
	case <-time.After(p.after):
		return p.Backend.Authenticate(ctx, r)
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.gaveUp = time.Since(began)
		return auth.Response{}, ctx.Err()
	}
}

func ring(after time.Duration) *telephone {
	return &telephone{Backend: auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password)}}), after: after}
}

// strict is a server that looks soon whether its clients are there.
func strict(patience time.Duration) func(*vpn.Policy) {
	return func(p *vpn.Policy) {
		p.DeadPeer, p.L2TP.Hello, p.PPP.Echo = 20*time.Second, 5*time.Second, 4*time.Second
		p.AuthTimeout, p.PPP.AuthTimeout, p.PPP.SetupTimeout = patience, patience+5*time.Second, patience+30*time.Second
	}
}

// patient is a client that has come in, however long that took.
func patient(t *testing.T, p Profile, h *udptest.Host) *Client {
	t.Helper()
	c := start(t, p, account, h)
	c.Lossless = true
	if err := c.Dial(); err != nil {
		t.Fatalf("it does not connect: %v", err)
	}
	time.Sleep(time.Millisecond)
	return c
}

// Each built-in client whose user takes as long as the client waits comes in, and its backend
// is asked once: everything below the question stays alive meanwhile.
func TestAUserWhoTakesTheirTimeComesIn(t *testing.T) {
	for name, profile := range builtIns {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				took := 50 * time.Second
				if name == "macOS, iOS, iPadOS" || name == "iOS before 14, macOS before 11" {
					took = 25 * time.Second
				}
				b := ring(took)
				w := sim.New(t, sim.Options{Backend: b, Policy: strict(55 * time.Second)})
				c := patient(t, profile(), w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
				passes(t, w, c, 1)
				if b.asked != 1 {
					t.Errorf("the user was asked %d times", b.asked)
				}
			})
		})
	}
}

// The time to bring a user does not cut a question off that is allowed to take longer.
func TestAQuestionMayTakeLongerThanTheTimeToBringAUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ring(110 * time.Second)
		w := sim.New(t, sim.Options{Backend: b, Policy: strict(115 * time.Second)})
		c := patient(t, NetworkManager(NetworkManagerOptions{}), w.Net.Host("198.51.100.7"))
		passes(t, w, c, 1)
	})
}

// No question goes on after its client: not longer than the client waits, and not when it has
// hung up.
func TestAQuestionEndsWithItsClient(t *testing.T) {
	for name, tt := range map[string]struct {
		profile func() Profile
		leaves  time.Duration // 0: it waits
		want    time.Duration
	}{
		"Windows waits a minute":   {builtIns["Windows 8.1, 10, 11 and Windows Server"], 0, 55 * time.Second},
		"Apple waits half of that": {builtIns["macOS, iOS, iPadOS"], 0, 28 * time.Second},
		"one that hangs up":        {builtIns["Windows 8.1, 10, 11 and Windows Server"], 12 * time.Second, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ring(time.Hour)
				w := sim.New(t, sim.Options{Backend: b, Policy: strict(55 * time.Second)})
				c := New(tt.profile(), account, w.Net.Host("198.51.100.7"), 1, func(string) {})
				if tt.leaves > 0 {
					time.AfterFunc(tt.leaves, func() {
						w.Server.Disconnect(func(vpn.Status) bool { return true })
					})
				}
				if err := c.Dial(); err == nil {
					t.Error("it came in")
				}
				c.Vanish()
				time.Sleep(2 * time.Minute)
				b.mu.Lock()
				defer b.mu.Unlock()
				if d := (b.gaveUp - tt.want).Abs(); d > 2*time.Second {
					t.Errorf("the question ended after %v, want %v", b.gaveUp, tt.want)
				}
			})
		})
	}
}
