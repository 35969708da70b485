package persona

import (
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/eap"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
	"github.com/adit-vpn/adit/test/sim"
)

// withEAP is a server that prefers some methods, and has EAP-TLS and EAP-MSCHAPv2.
func withEAP(methods ...ppp.Method) sim.Options {
	users := auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password)}})
	return sim.Options{
		Backend: auth.NewGuard(eap.New(eap.Config{Name: "adit", Users: users, Methods: func() []eap.Type { return []eap.Type{eap.MSCHAPv2} }})),
		Policy:  func(p *vpn.Policy) { p.PPP.Methods = methods },
	}
}

// byEAP is a client that is set to EAP.
func byEAP(p Profile) Profile {
	p.PPP.Auth = [][]byte{authEAP}
	return p
}

// Clients that are set to EAP connect whichever method the server prefers, and over a line that
// loses packets.
func TestClientsByEAP(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, withEAP(ppp.MethodMSCHAPv2, ppp.MethodEAP))
		c := online(t, byEAP(p), account, w.Net.Host("198.51.100.7"))
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
	for seed := range uint64(12) {
		bubble(t, func(t *testing.T) {
			o := withEAP(ppp.MethodEAP)
			o.Seed = seed
			w := sim.New(t, o)
			w.Net.SetPolicy(udptest.Policy{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.1, Duplicate: 0.05})
			c := start(t, byEAP(Windows10(WindowsOptions{Length: true})), account, w.Net.Host("198.51.100.7"))
			if err := c.Dial(); err != nil && !strings.Contains(err.Error(), "no answer") {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
}

// Who has the wrong password hears so, inside of EAP.
func TestAWrongPasswordByEAP(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := sim.New(t, withEAP(ppp.MethodEAP))
		wrong := account
		wrong.Password = "wrong"
		c := start(t, byEAP(Windows10(WindowsOptions{})), wrong, w.Net.Host("198.51.100.7"))
		if err := c.Dial(); err == nil || !strings.Contains(err.Error(), "E=691") {
			t.Errorf("it ends with %v", err)
		}
		time.Sleep(time.Minute)
		w.WantNothingLeft(t)
	})
}

// Windows asks its user for another password when the old one has expired, and comes in by that:
// also where packets are lost, and when the user takes a while.
func TestWindowsChangesAPassword(t *testing.T) {
	for seed := range uint64(8) {
		bubble(t, func(t *testing.T) {
			users := auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password), MustChange: true}})
			kept := ""
			users.Changed = func(_ string, password secret.Bytes) error {
				kept = string(password.Reveal())
				return nil
			}
			w := sim.New(t, sim.Options{Backend: auth.NewGuard(users), Seed: seed})
			if seed > 0 {
				w.Net.SetPolicy(udptest.Policy{Delay: 10 * time.Millisecond, Loss: 0.1})
			}
			changing := account
			changing.NewPassword = "another öne"
			c := start(t, Windows10(WindowsOptions{Length: true}), changing, w.Net.Host("198.51.100.7"))
			if err := c.Dial(); err != nil {
				if seed == 0 || !strings.Contains(err.Error(), "no answer") {
					t.Errorf("seed %d: %v", seed, err)
				}
				return
			}
			if kept != changing.NewPassword {
				t.Errorf("the server keeps %q", kept)
			}
			if seed == 0 { // which loses nothing
				passes(t, w, c, 1)
			}
		})
	}
}

// A client whose user gives up hears that the password has expired.
func TestAnExpiredPassword(t *testing.T) {
	bubble(t, func(t *testing.T) {
		users := auth.NewLocal([]auth.User{{Name: account.User, Password: secret.String(account.Password), MustChange: true}})
		w := sim.New(t, sim.Options{Backend: users})
		c := start(t, Windows10(WindowsOptions{}), account, w.Net.Host("198.51.100.7"))
		if err := c.Dial(); err == nil || !strings.Contains(err.Error(), "E=648") {
			t.Errorf("it ends with %v", err)
		}
	})
}
