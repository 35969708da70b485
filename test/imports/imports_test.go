// Package imports asserts which packages of this module may import which. It
// asserts the table of ARCHITECTURE.md.
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

// leaves are packages that every package may import.
var leaves = []string{"internal/machine", "internal/machine/frozen", "internal/secret", "internal/packet", "internal/limit"}

// allowed lists which packages of this module each package may import in addition
// to the leaves.
var allowed = map[string][]string{
	"cmd/adit":           {"internal/app", "internal/admin", "internal/pki", "conf"},
	"conf":               {"internal/pool", "internal/durable"},
	"ike":                {"ike/isakmp"},
	"ike/isakmp":         {},
	"ipsec":              {"ipsec/internal/lanes"},
	"l2tp":               {},
	"ppp":                {},
	"auth":               {},
	"auth/eap":           {"auth"},
	"auth/ledger":        {"auth", "internal/durable"},
	"auth/radius":        {"auth", "auth/ledger"},
	"internal/machine":   {},
	"internal/secret":    {},
	"internal/packet":    {},
	"internal/limit":     {},
	"internal/pki":       {"internal/durable"},
	"internal/durable":   {},
	"internal/pool":      {},
	"internal/udp":       {},
	"internal/netdev":    {},
	"internal/hostnet":   {},
	"internal/dhcp":      {},
	"internal/compress":  {},
	"internal/ndp":       {},
	"internal/dataplane": {"ipsec", "l2tp", "internal/compress", "internal/udp", "internal/netdev"},
	"internal/session":   {"ppp", "auth", "internal/pool", "internal/dhcp", "internal/ndp"},
	"internal/crowd":     {},
	"internal/gate":      {"ike", "internal/crowd"},
	"internal/halfopen":  {"ike", "internal/crowd", "internal/gate"},
	"internal/vpn":       {"ike", "l2tp", "ppp", "auth", "ipsec", "internal/compress", "internal/crowd", "internal/gate", "internal/halfopen", "internal/dataplane", "internal/pool", "internal/session"},
	"internal/dial":      {"ike", "l2tp", "ppp", "internal/vpn", "internal/dataplane"},
	"internal/link":      {},
	"internal/links":     {"auth", "ike", "ppp", "internal/vpn", "internal/dial", "internal/link", "internal/dataplane", "internal/netdev", "internal/session"},
	"internal/app": {"conf", "internal/pki", "ike", "ipsec", "l2tp", "ppp", "auth", "auth/eap", "auth/ledger", "auth/radius", "internal/session", "internal/vpn", "internal/dataplane", "internal/udp",
		"internal/netdev", "internal/hostnet", "internal/pool", "internal/link", "internal/links", "internal/admin"},
	"internal/admin":               {},
	"ipsec/internal/lanes":         {},
	"internal/machine/frozen":      {},
	"internal/machine/machinetest": {},
	"internal/pki/pkitest":         {},
	"internal/udp/udptest":         {"internal/udp"},
	"internal/netdev/netdevtest":   {"internal/netdev"},
}

// forbidden names libraries that a package must not use.
var forbidden = map[string][]string{
	"internal/session":   {"github.com/sirupsen/logrus", "net"},
	"internal/crowd":     {"github.com/sirupsen/logrus", "net"},
	"internal/gate":      {"github.com/sirupsen/logrus", "net"},
	"internal/halfopen":  {"github.com/sirupsen/logrus", "net"},
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
// server, so that the same mistake cannot be in both: no codec, no cryptography
// and no library except golang.org/x/crypto.
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
