package persona

import (
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/test/sim"
)

// Clients that have a tunnel secret, and use it to hide what may be hidden, connect if
// the server has it, too. Other clients of the same server connect as usual, unless the
// server requires the secret.
func TestTunnelSecrets(t *testing.T) {
	const one = "a tunnel secret"
	for name, tt := range map[string]struct {
		client   L2TPProfile // only its secret is used
		server   string
		required bool
		refused  bool // the server refuses
		refuses  bool // the client leaves without any message
	}{
		"no secret":                 {},
		"the server's alone":        {server: one},
		"asked for":                 {client: L2TPProfile{Secret: one, Challenge: true}, server: one},
		"asked for by both":         {client: L2TPProfile{Secret: one, Challenge: true}, server: one, required: true},
		"asked for by the server":   {client: L2TPProfile{Secret: one}, server: one, required: true},
		"hidden":                    {client: L2TPProfile{Secret: one, Hide: true}, server: one},
		"hidden, and asked for":     {client: L2TPProfile{Secret: one, Hide: true, Challenge: true}, server: one, required: true},
		"hidden, and there is none": {client: L2TPProfile{Secret: one, Hide: true}, refused: true},
		"hidden by another":         {client: L2TPProfile{Secret: one, Hide: true}, server: "another", refused: true},
		"asked for, another":        {client: L2TPProfile{Secret: one, Challenge: true}, server: "another", refuses: true},
		"asked for, and none":       {client: L2TPProfile{Secret: one, Challenge: true}, refused: true},
		"none, and required":        {server: one, required: true, refuses: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, make := range everyone {
				p := make()
				bubble(t, func(t *testing.T) {
					w := sim.New(t, sim.Options{Policy: func(q *vpn.Policy) {
						q.L2TP.Secret, q.L2TP.Challenge = secret.String(tt.server), tt.required
					}})
					p.L2TP.Secret, p.L2TP.Challenge, p.L2TP.Hide = tt.client.Secret, tt.client.Challenge, tt.client.Hide
					h := w.Net.Host("198.51.100.7")
					if !tt.refused && !tt.refuses {
						online(t, p, account, h)
						return
					}
					c := New(p, account, h, 1, func(string) {}) // refusals are intended here
					defer c.Vanish()
					if err := c.Dial(); err == nil {
						t.Errorf("%s connects", p.Name)
					}
					down := sim.All[vpn.TunnelDown](w.Events)
					if tt.refuses {
						return
					}
					if len(down) == 0 || down[0].Result.Code != l2tp.StopNotAuthorized && down[0].Result.Error != l2tp.ErrorUnknownAVP {
						t.Errorf("%s: the server says %+v", p.Name, down)
					}
				})
			}
		})
	}
}
