//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// waiting are configurations with another value of every key that waits for a
// restart, as adit reload names them, in two parts: no server has a bridge and
// IPv6.
var waiting = []struct{ keys, text string }{
	{
		"server.listen server.state_dir network.mode network.pool network.bridge network.lan network.gateway auth.backend",
		`[server]
listen = ["192.0.2.77"]
state_dir = "/nonexistent/state"
[network]
mode = "tap"
bridge = "nobridge"
lan = "192.168.50.0/24"
gateway = "192.168.50.1"
pool = ["192.168.50.200-192.168.50.250"]
[auth]
backend = "radius"
[radius]
servers = [{ address = "192.0.2.200:1812", secret = "s" }]
`,
	},
	{
		"server.state_dir ipsec.nat_traversal ipsec.key_log network.device network.pool network.pool6 network.delegate6 network.delegate6_bits " +
			"network.masquerade network.masquerade6 network.client_to_client network.multicast " +
			"limits.connections limits.half_open limits.half_open_per_source log.format admin.socket admin.metrics",
		`[server]
state_dir = "DIR/other"
[network]
device = "adit7"
pool = ["10.84.0.0/24"]
pool6 = ["2001:db8:84::/48"]
delegate6 = "2001:db8:f000::/40"
delegate6_bits = 60
masquerade = false
masquerade6 = true
client_to_client = false
multicast = true
[limits]
connections = 10
half_open = 10
half_open_per_source = 10
[log]
format = "json"
[admin]
socket = "DIR/other.sock"
metrics = "127.0.0.1:9799"
`,
	},
}

// Every key that waits for a restart is changed and reloaded, under a ping of a
// client: nothing changes, for it or for the next, until the restart; then all
// of it does.
func TestReloadOfWhatWaitsForARestartChangesNothing(t *testing.T) {
	s := here.Serve(t, lab.Config{"network": "host_access = []"}) // as in the configurations above
	g := here.Connect(t, lab.Client{})
	before := hostNow(t)
	for _, w := range waiting {
		pinged := make(chan string, 1)
		go func() {
			out, _ := g.Run("ping -q -i 0.1 -c 40 " + lab.AppIP) // what it says is judged below
			pinged <- out
		}()
		text := strings.ReplaceAll(w.text, "DIR", s.Dir)
		psk := fmt.Sprintf("psk = %q\n", lab.PSK)
		if strings.Contains(w.keys, "ipsec.key_log") {
			psk += fmt.Sprintf("nat_traversal = \"auto\"\nkey_log = %q\n", filepath.Join(s.Dir, "keys"))
		}
		text += "[ipsec]\n" + psk + fmt.Sprintf("[[user]]\nname = %q\npassword = %q\n", lab.User, lab.Password)
		if err := os.WriteFile(filepath.Join(s.Dir, "adit.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		report := s.Reload(t)
		for key := range strings.FieldsSeq(w.keys) {
			if !regexp.MustCompile(`(?m)restart.*\b` + regexp.QuoteMeta(key) + `\b`).MatchString(report) {
				t.Errorf("the report does not say that %s waits:\n%s", key, report)
			}
		}
		if out := <-pinged; !strings.Contains(out, "40 received") {
			t.Errorf("the ping under the reload:\n%s", out)
		}
		if code := g.Redial(t, "vpn"); code != lab.Connected {
			t.Fatalf("after the reload the client ended with %d", code)
		}
		if x := s.Session(t); !strings.HasPrefix(x.Address, "10.83.0.") || len(x.IPv6) > 0 {
			t.Errorf("after the reload the client has %s and %v", x.Address, x.IPv6)
		}
		if now := hostNow(t); now != before {
			t.Errorf("the host has\n%+v\nafter the reload, want\n%+v", now, before)
		}
		if _, err := os.Stat(filepath.Join(s.Dir, "keys")); err == nil {
			t.Error("keys are logged before the restart")
		}
	}
	s.Stop(t)
	s.Launch(t)
	if !lab.Wait(patience, func() bool {
		_, err := lab.Command(here.Server, here.Adit, "status", "-socket", filepath.Join(s.Dir, "other.sock")).Output()
		return err == nil
	}) {
		t.Fatalf("after the restart nobody answers on the new socket:\n%s", s.Log())
	}
	if now := hostNow(t); !strings.Contains(now.links, "adit7") || !strings.Contains(now.routes, "10.84.0.1") || strings.Contains(now.routes, "10.83.0.") {
		t.Errorf("after the restart the host has\n%+v", now)
	}
	s.Stop(t)
}
