package persona

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/app"
	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// explains fails the test unless exactly one line of the server's log is a warning or
// worse, and contains all these texts.
func explains(t *testing.T, w *sim.World, texts ...string) {
	t.Helper()
	var out bytes.Buffer
	o := app.Lines(&out)
	for _, e := range w.Events.Everything() {
		o.Observe(e)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		var l struct{ Level string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Level != "info" {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 {
		t.Errorf("%d lines say what happened, want one:\n%s", len(lines), strings.Join(lines, ""))
		return
	}
	for _, text := range texts {
		if !strings.Contains(lines[0], text) {
			t.Errorf("no %q in %s", text, lines[0])
		}
	}
}

// A certificate is refused with INVALID-CERTIFICATE (RFC 2408 section 3.14.1), under the
// keys of message 5. Windows then shows that the security layer failed, error 789.
func TestClientsAreToldThatTheirCertificateIsRefused(t *testing.T) {
	o := theOffice()
	for name, tt := range map[string]struct {
		i    *pki.Issued
		want string
	}{
		"of another CA": {o.foreign, "comes from no CA that is trusted here"},
		"expired":       {o.expired, "is not valid at this time"},
		"revoked":       {o.revoked, "is revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			eachSigner(t, func(t *testing.T, p Profile) {
				w := sim.New(t, sim.Options{Policy: policyOf(p)})
				s, err := fails(t, w, p, holder(tt.i))
				if !errors.As(err, new(*Ended)) || !slices.Equal(s.Notifies, []uint16{wire.InvalidCertificate}) {
					t.Errorf("it ended with %v, and heard %v, want INVALID-CERTIFICATE", err, s.Notifies)
				}
				explains(t, w, "the client's certificate is refused", tt.want)
			})
		})
	}
}

// Both get NO-PROPOSAL-CHOSEN, at once.
func TestClientsThatAuthenticateOtherwiseThanTheServerAreTold(t *testing.T) {
	t.Run("certificates, and the server has keys", func(t *testing.T) {
		eachSigner(t, func(t *testing.T, p Profile) {
			w := sim.New(t, sim.Options{})
			s, err := fails(t, w, p, accountOf(p))
			if !errors.As(err, new(*Ended)) || !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) {
				t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
			}
			explains(t, w, "the client is set to certificates")
		})
	})
	t.Run("keys, and the server has certificates", func(t *testing.T) {
		policy := theOffice().identifies(theOffice().server)
		each(t, func(t *testing.T, p Profile) {
			w := sim.New(t, sim.Options{Policy: policy})
			s, err := fails(t, w, p, account)
			if !errors.As(err, new(*Ended)) || !slices.Equal(s.Notifies, []uint16{wire.NoProposalChosen}) {
				t.Errorf("it ended with %v, and heard %v, want NO-PROPOSAL-CHOSEN", err, s.Notifies)
			}
			explains(t, w, "the client is set to a pre-shared key")
		})
	})
}

// Everybody's errors cause one log line each, and the client is told in IKE. A wrong key
// and an unknown group are the exception: nobody is told which keys and groups exist.
func TestEveryFailureIsOneLine(t *testing.T) {
	for name, tt := range map[string]struct {
		policy func(*vpn.Policy)
		change func(*Profile, *Account)
		heard  []uint16 // notifies
		texts  []string
	}{
		"a wrong pre-shared key": {
			change: func(_ *Profile, a *Account) { a.PSK = "another pre-shared key" },
			texts:  []string{"wrong pre-shared key"},
		},
		"a wrong password": {
			change: func(_ *Profile, a *Account) { a.Password = "wrong" },
			texts:  []string{"user refused", "alice", "wrong password"},
		},
		"no suite in common": {
			change: func(p *Profile, _ *Account) { p.IKE.SA = phase1SA(phase1Attributes(28800, ike3DES, 0, 1, ikeMD5, 2)) },
			heard:  []uint16{wire.NoProposalChosen},
			texts:  []string{"offers no suite that is accepted", "3DES-MD5-MODP1024"},
		},
		"no cipher in common": {
			change: func(p *Profile, _ *Account) { p.ESP.SA = kameESP(3600, []espCipher{{3, 0}}, []uint16{espMD5}) },
			heard:  []uint16{wire.NoProposalChosen},
			texts:  []string{"ESP refused", "3DES/MD5-96"},
		},
		"a group name, and Aggressive Mode is off": {
			change: func(p *Profile, _ *Account) { p.IKE.GroupName = "staff" },
			heard:  []uint16{wire.InvalidExchange},
			texts:  []string{"remove the group name"},
		},
		"a group that nobody knows": {
			policy: func(p *vpn.Policy) { p.IKE.Aggressive = true },
			change: func(p *Profile, _ *Account) { p.IKE.GroupName = "nobody" },
			texts:  []string{"no [[group]] of this name", "nobody"},
		},
		"a user of another group than the key's": {
			policy: func(p *vpn.Policy) {
				p.IKE.PSKs = []ike.PSK{{Name: "staff", Key: secret.String("the key of the staff"), Group: "staff"}}
			},
			change: func(_ *Profile, a *Account) { a.PSK = "the key of the staff" },
			texts:  []string{"user refused", "alice", "group"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p Profile) {
				if strings.HasPrefix(name, "a group") && !namesGroups(p) {
					return
				}
				w := sim.New(t, sim.Options{
					Policy:  tt.policy,
					Backend: auth.NewLocal([]auth.User{{Name: sim.User, Password: secret.String(sim.Password), Group: "guests"}}),
				})
				a := account
				tt.change(&p, &a)
				s, err := fails(t, w, p, a)
				explains(t, w, tt.texts...)
				if !slices.Equal(s.Notifies, tt.heard) {
					t.Errorf("it ended with %v, and heard %v, want %v", err, s.Notifies, tt.heard)
				}
			})
		})
	}
}

// namesGroups reports whether a client can be configured with a group name, and then
// offers only one Diffie-Hellman group: Apple's and Android's.
func namesGroups(p Profile) bool {
	return p.IKE.StrictPayloads
}
