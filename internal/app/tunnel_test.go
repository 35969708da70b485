package app

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// The tunnel secret of the configuration, through a whole server: a client that asks gets
// the answer, one that must have it has to prove it, and the log says what is wrong.
func TestTunnelSecrets(t *testing.T) {
	const (
		groupPSK = "the key of the routers"
		differ   = "tunnel authentication failed: the secrets differ"
	)
	one := settingsOf{"l2tp.secret": `"one"`}
	required := settingsOf{"l2tp.secret": `"one"`, "l2tp.require_secret": "true"}
	group := func(more string) settingsOf {
		return settingsOf{"l2tp.secret": `"one"`, "group": fmt.Sprintf(`[{ name = "routers", psk = %q%s }]`, groupPSK, more), "user": `[{ name = "alice", password = "p", group = "routers" }]`}
	}
	for name, tt := range map[string]struct {
		server    settingsOf
		secret    string // the client's
		challenge bool   // it asks for the server's
		key       string // its pre-shared key
		said      string // why it is refused; "" if it is not
	}{
		"no secret at all":                       {},
		"the client asks, and there is none":     {secret: "one", challenge: true, said: "tunnel authentication is not configured"},
		"the client asks, and has the same":      {server: one, secret: "one", challenge: true},
		"the client asks, and has another":       {server: one, secret: "two", challenge: true, said: "the client refused the tunnel"},
		"a built-in client beside":               {server: one},
		"a built-in client where it is required": {server: required, said: "no answer to the challenge"},
		"required, and the client has it":        {server: required, secret: "one"},
		"required of both":                       {server: required, secret: "one", challenge: true},
		"required, and the client has another":   {server: required, secret: "two", said: differ},
		"a group's own":                          {server: group(`, l2tp_secret = "two"`), key: groupPSK, secret: "two", challenge: true},
		"a group's, of another key":              {server: group(`, l2tp_secret = "two"`), secret: "one", challenge: true},
		"not the group's":                        {server: group(`, l2tp_secret = "two", require_l2tp_secret = true`), key: groupPSK, secret: "one", said: differ},
		"required of a group alone":              {server: group(`, require_l2tp_secret = true`)},
		"required of the group":                  {server: group(`, require_l2tp_secret = true`), key: groupPSK, said: "no answer to the challenge"},
		"required of the group, which has it":    {server: group(`, require_l2tp_secret = true`), key: groupPSK, secret: "one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startHost(t, tt.server)
				_, _, err := h.dial("alice", func(c *client.Config) {
					c.Change = func(p *vpn.Policy) {
						p.L2TP.Secret, p.L2TP.Challenge = secret.String(tt.secret), tt.challenge
						if tt.key != "" {
							p.IKE.PSKs = []ike.PSK{{Name: "psk", Key: secret.String(tt.key)}}
						}
					}
				})
				if (err == nil) != (tt.said == "") {
					t.Fatalf("connecting: %v", err)
				}
				log := h.logged()
				if !strings.Contains(log, tt.said) || tt.said != "" && !strings.Contains(log, `"level":"warning"`) {
					t.Errorf("the log does not say %q:\n%s", tt.said, log)
				}
			})
		})
	}
}

// A reload changes the secret of new tunnels.
func TestTunnelSecretsAreReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, nil)
		ask := func(c *client.Config) {
			c.Change = func(p *vpn.Policy) { p.L2TP.Secret, p.L2TP.Challenge = secret.String("one"), true }
		}
		if _, _, err := h.dial("alice", ask); err == nil {
			t.Error("connected without a secret")
		}
		h.write(settingsOf{"l2tp.secret": `"one"`})
		if r, err := h.Reload(); err != nil || fmt.Sprint(r.New) != "[l2tp.secret]" {
			t.Errorf("%+v, %v", r, err)
		}
		if _, _, err := h.dial("alice", ask); err != nil {
			t.Error(err)
		}
		if strings.Contains(h.logged(), "one\"") {
			t.Error("the log has the secret")
		}
	})
}
