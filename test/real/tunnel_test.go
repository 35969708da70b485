//go:build real

package real

import (
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// xl2tpd asks for the tunnel's secret, and hides with it what may be hidden.
func TestTunnelSecretOfALinuxClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config lab.Config
		args   []string
		code   int
		said   string
	}{
		{"the same", lab.Config{"l2tp": "secret = \"one\""}, []string{"--tunnel-secret", "one"}, lab.Connected, ""},
		{"the same, and hidden", lab.Config{"l2tp": "secret = \"one\""}, []string{"--tunnel-secret", "one", "--hide"}, lab.Connected, ""},
		{"required", lab.Config{"l2tp": "secret = \"one\"\nrequire_secret = true"}, []string{"--tunnel-secret", "one"}, lab.Connected, ""},
		{"another", lab.Config{"l2tp": "secret = \"two\""}, []string{"--tunnel-secret", "one"}, lab.NoL2TP, "the client refused the tunnel"},
		{"none here", nil, []string{"--tunnel-secret", "one"}, lab.NoL2TP, "tunnel authentication is not configured"},
		{"none there, and required", lab.Config{"l2tp": "secret = \"one\"\nrequire_secret = true"}, nil, lab.NoL2TP, "the client refused the tunnel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := here.Serve(t, tt.config)
			_, code := here.Try(t, lab.Client{Args: append(tt.args, "--l2tp-timeout", "8")})
			if code != tt.code {
				t.Errorf("the client ended with %d, want %d", code, tt.code)
			}
			if log := string(s.Log()); !strings.Contains(log, tt.said) {
				t.Errorf("the log does not say %q", tt.said)
			}
		})
	}
}
