package persona

import (
	"context"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// renewing accepts users for a minute at a time.
type renewing struct{ auth.Backend }

func (b renewing) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	answer, err := b.Backend.Authenticate(ctx, r)
	answer.Grant.SessionTimeout, answer.Grant.Again = time.Minute, &auth.Again{}
	return answer, err
}

// Every built-in client that authenticates by a challenge answers another one while it is online.
func TestClientsAuthenticateAgain(t *testing.T) {
	for name, profile := range builtIns {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				users := auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password)}})
				w := sim.New(t, sim.Options{Backend: renewing{users}})
				c := start(t, profile(), account, w.Net.Host("198.51.100.7"))
				if err := c.Dial(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(150 * time.Second)
				passes(t, w, c, 1)
				done, down := sim.All[vpn.AuthDone](w.Events), sim.All[vpn.SessionDown](w.Events)
				if len(down) > 0 || len(done) != 3 || done[2].Verdict != auth.Accepted {
					t.Errorf("authenticated %d times; session ends %+v", len(done), down)
				}
			})
		})
	}
}
