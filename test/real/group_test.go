//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// Two groups with keys of their own: each admits its users alone, in Main Mode
// by the key, in Aggressive Mode by the group's name, in every form that
// clients give it.
func TestGroupsWithKeysOfTheirOwn(t *testing.T) {
	const sales, service = "a long key for the sales department", "another long key for the service"
	users := fmt.Sprintf(`
[[group]]
name = "sales"
psk = %q
[[group]]
name = "service"
psk = %q
[[user]]
name = %q
password = %q
group = "sales"
`, sales, service, lab.User, lab.Password)
	var conns string
	ids := map[string]string{"key id": "@#73616c6573", "FQDN": "@sales", "nobody": "@#6e6f626f6479", "service": "@service"}
	for name, id := range ids {
		conns += fmt.Sprintf("\nconn %q\n\talso=vpn\n\taggressive=yes\n\tike=aes256-sha256-modp2048,aes128-sha256-modp2048,aes256-sha1-modp2048!\n\tleftid=%s\n", name, id)
	}
	file := filepath.Join(t.TempDir(), "groups.conf")
	if err := os.WriteFile(file, []byte(conns), 0o600); err != nil {
		t.Fatal(err)
	}
	s := here.Serve(t, lab.Config{"ipsec": "aggressive = true", "user": users})
	g := here.Connect(t, lab.Client{PSK: sales, NAT: true, Args: []string{"--conf", file}})
	if got := s.Lines("IKE up"); len(got) != 1 || got[0]["psk"] != "sales.psk[0]" {
		t.Errorf("Main Mode with the group's key: %v", got)
	}
	for _, name := range []string{"key id", "FQDN"} {
		if code := g.Redial(t, "'"+name+"'"); code != lab.Connected {
			t.Errorf("Aggressive Mode with the group as %s ended with %d: %s", name, code, g.Log(t, "ike.log"))
		}
		s.Session(t)
	}
	for _, name := range []string{"nobody", "service"} {
		if code := g.Redial(t, name); code != lab.NoIKE {
			t.Errorf("Aggressive Mode as %s with the key of sales ended with %d, want %d", name, code, lab.NoIKE)
		}
	}
	s.Stop(t)
}

// A user of another group than the key's is refused, and the log says why.
func TestAUserOfAnotherGroupIsRefused(t *testing.T) {
	const key = "a long key for the sales department"
	s := here.Serve(t, lab.Config{"user": fmt.Sprintf("[[group]]\nname = \"sales\"\npsk = %q\n[[user]]\nname = %q\npassword = %q\n", key, lab.User, lab.Password)})
	if _, code := here.Try(t, lab.Client{PSK: key}); code != lab.NoPPP {
		t.Errorf("the client ended with %d, want %d", code, lab.NoPPP)
	}
	lines := s.Lines("user refused; the client shows a wrong user name or password")
	if len(lines) == 0 || !contains(fmt.Sprint(lines[0]["detail"]), "of the group") {
		t.Errorf("the log says %v", lines)
	}
	s.Stop(t)
}
