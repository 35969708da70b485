// Package imports asserts which packages of this module may import which: the
// table of ARCHITECTURE.md.
package imports

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/adit-vpn/adit/"

// leaves may be imported by everything.
var leaves = []string{"internal/machine", "internal/secret", "internal/packet"}

// allowed says what each package may import of this module beside the leaves.
var allowed = map[string][]string{
	"cmd/adit":           {"internal/app", "internal/admin", "internal/pki", "conf"},
	"conf":               {},
	"ike":                {"ike/isakmp"},
	"ike/isakmp":         {},
	"ipsec":              {"ipsec/internal/lanes"},
	"l2tp":               {},
	"ppp":                {},
	"auth":               {},
	"auth/radius":        {"auth"},
	"internal/machine":   {},
	"internal/secret":    {},
	"internal/packet":    {},
	"internal/pki":       {},
	"internal/pool":      {},
	"internal/udp":       {},
	"internal/netdev":    {},
	"internal/hostnet":   {},
	"internal/dhcp":      {},
	"internal/ndp":       {},
	"internal/dataplane": {"ipsec", "l2tp", "internal/udp", "internal/netdev"},
	"internal/vpn":       {"ike", "l2tp", "ppp", "auth", "ipsec", "internal/dataplane", "internal/pool", "internal/dhcp", "internal/ndp"},
	"internal/app": {"conf", "internal/pki", "ike", "ipsec", "l2tp", "ppp", "auth", "auth/radius", "internal/vpn", "internal/dataplane", "internal/udp",
		"internal/netdev", "internal/hostnet", "internal/pool", "internal/admin"},
	"internal/admin":               {},
	"ipsec/internal/lanes":         {},
	"internal/machine/machinetest": {},
	"internal/udp/udptest":         {"internal/udp"},
	"internal/netdev/netdevtest":   {"internal/netdev"},
}

// forbidden names libraries that a package must not use.
var forbidden = map[string][]string{
	"internal/vpn":       {"github.com/sirupsen/logrus"},
	"internal/dataplane": {"github.com/sirupsen/logrus"},
	"ike":                {"github.com/sirupsen/logrus", "net"},
	"l2tp":               {"github.com/sirupsen/logrus", "net"},
	"ppp":                {"github.com/sirupsen/logrus", "net"},
	"ipsec":              {"github.com/sirupsen/logrus", "net"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		seen[name] = true
		if strings.HasPrefix(name, "test/") {
			continue
		}
		may, ok := allowed[name]
		if !ok {
			t.Errorf("%s is not in the table: add it here and in ARCHITECTURE.md", name)
			continue
		}
		for _, i := range p.Imports {
			short, own := strings.CutPrefix(i, module)
			if own && !contains(may, short) && !contains(leaves, short) {
				t.Errorf("%s must not import %s", name, short)
			}
			if contains(forbidden[name], i) {
				t.Errorf("%s must not use %s", name, i)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("the table has %s, which does not exist", name)
		}
	}
}

// personas are the models of the built-in clients. They share nothing with the
// server, so that one misreading cannot hide in both: no codec, no cryptography
// and no library but golang.org/x/crypto.
var personas = map[string][]string{
	"test/persona":      {"test/persona/wire", "test/sim", "internal/udp", "internal/udp/udptest"},
	"test/persona/wire": {},
}

func TestPersonasShareNoCodeWithTheServer(t *testing.T) {
	found := 0
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name != "test/persona" && !strings.HasPrefix(name, "test/persona/") {
			continue
		}
		may, ok := personas[name]
		if !ok {
			t.Errorf("%s is not in the table of personas", name)
		}
		found++
		for _, i := range p.Imports {
			short, own := strings.CutPrefix(i, module)
			foreign := strings.Contains(strings.Split(i, "/")[0], ".")
			if own && !contains(may, short) || !own && foreign && !strings.HasPrefix(i, "golang.org/x/crypto/") {
				t.Errorf("%s must not import %s", name, i)
			}
		}
	}
	if found != len(personas) {
		t.Errorf("%d packages of personas, and the table has %d", found, len(personas))
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
