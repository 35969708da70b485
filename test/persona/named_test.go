package persona

import (
	"context"
	"sync"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/test/sim"
)

// What Windows says of itself in PPP is known when its user is asked about, and in accounting.
// Others are known by what they say in L2TP.
func TestTheBackendKnowsTheClient(t *testing.T) {
	for name, tt := range map[string]struct {
		profile       Profile
		name, version string
	}{
		"Windows": {Windows10(WindowsOptions{Computer: "LAPTOP-7"}), "MSRAS-0-LAPTOP-7", "MSRASV5.20"},
		"Apple":   {Apple(AppleOptions{}), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				seen := &witness{Backend: auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password)}})}
				w := sim.New(t, sim.Options{Backend: seen, Accountant: seen})
				if err := start(t, tt.profile, account, w.Net.Host("198.51.100.7")).Dial(); err != nil {
					t.Fatal(err)
				}
				seen.mu.Lock()
				defer seen.mu.Unlock()
				if len(seen.calls) < 2 {
					t.Fatalf("%d calls", len(seen.calls))
				}
				for _, c := range seen.calls {
					if c.RASName != tt.name || c.RASVersion != tt.version || c.ClientName == "" {
						t.Errorf("%+v", c)
					}
				}
			})
		})
	}
}

// witness keeps where requests and records come from.
type witness struct {
	auth.Backend
	mu    sync.Mutex
	calls []auth.Call
}

func (w *witness) saw(c auth.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
}

func (w *witness) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	w.saw(r.Call)
	return w.Backend.Authenticate(ctx, r)
}

func (w *witness) Account(r auth.Record) { w.saw(r.Call) }
