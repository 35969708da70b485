package docs

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

// block is the indented block of docs/migrating.md that contains about, in the
// form in which a reader pastes it into a shell.
func block(t *testing.T, about string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(read(t, "docs/migrating.md")) {
		if text, ok := strings.CutPrefix(line, "    "); ok {
			b.WriteString(text)
			continue
		}
		if strings.Contains(b.String(), about) {
			return b.String()
		}
		b.Reset()
	}
	t.Fatalf("docs/migrating.md has no block about %s", about)
	return ""
}

// imported runs a block on a file other than the one that it names, and returns
// the users that the server then has.
func imported(t *testing.T, about, path, text string) []conf.User {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "adit.toml")
	for name, text := range map[string]string{from: text, to: "[ipsec]\npsk = \"a pre-shared key of good length\"\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := block(t, about)
	if strings.Count(script, path) != 1 || strings.Count(script, "/etc/adit/adit.toml") != 1 {
		t.Fatalf("the block does not read %s to /etc/adit/adit.toml:\n%s", path, script)
	}
	script = strings.ReplaceAll(strings.ReplaceAll(script, path, from), "/etc/adit/adit.toml", to)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := conf.Load(to, []string{"ADIT_SERVER_STATE_DIR=" + dir})
	if err != nil {
		b, _ := os.ReadFile(to)
		t.Fatalf("%v\n%s", err, b)
	}
	return c.Users
}

// Words of chap-secrets are split as pppd splits them (getword of its options.c).
func TestChapSecretsBecomeUsers(t *testing.T) {
	const secrets = `# Secrets for authentication using CHAP
# client	server	secret			IP addresses

alice * plain *
bob	l2tpd	tabs	10.83.0.10
  carol  *  "two words"  10.83.0.11 10.83.0.12
"dave smith" * 'single quotes' -
erin * "a # in quotes" * # and a comment
frank * bare#comment follows
	# an indented comment * with * words
"#grace" * "quote\"and\\backslash" !10.83.0.13
'heidi' * 'it"s' *
DOMAIN\\ivan * esc\ aped\x21\041\t. *
judy * goes \
  10.83.0.14
* * everybody *
alice otherserver second *
ken * "" 10.83.0.15
two words
"" * nobody *
lea * päss"wör"d *
mallory * $(id)` + "`id`" + `%s *
nina * trail 10.83.0.16` + "\r\n" + `olga * last`
	want := []string{
		"alice:plain:", "bob:tabs:10.83.0.10", "carol:two words:10.83.0.11", "dave smith:single quotes:", "erin:a # in quotes:",
		"frank:bare:", `#grace:quote"and\backslash:`, `heidi:it"s:`, `DOMAIN\ivan:` + "esc aped!!\t.:", "judy:goes:10.83.0.14",
		"lea:pässwörd:", "mallory:$(id)`id`%s:", "nina:trail:10.83.0.16", "olga:last:",
	}
	// An empty password is an error that names the user, so that user is left out
	// here.
	users := imported(t, "chap-secrets", "/etc/ppp/chap-secrets", strings.Replace(secrets, "ken * \"\" 10.83.0.15\n", "", 1))
	var got []string
	for _, u := range users {
		address, err := u.Address.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, u.Name+":"+string(u.Password.Reveal())+":"+string(address))
	}
	if !slices.Equal(got, want) {
		t.Errorf("users\n%q, want\n%q", got, want)
	}
}

// A secret that is stored in a file of its own stays there.
func TestSecretFilesOfChapSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	users := imported(t, "chap-secrets", "/etc/ppp/chap-secrets", "alice * @"+file+" *\nbob * @home *\n")
	if len(users) != 2 || string(users[0].Password.Reveal()) != "from a file" || string(users[1].Password.Reveal()) != "@home" {
		t.Errorf("%+v", users)
	}
}

// SoftEther's NT hashes are ordinary NT hashes. The first one is the well-known
// hash of "password".
func TestSoftEthersUsersKeepTheirPasswords(t *testing.T) {
	const config = "\ufeff# Software Configuration File\ndeclare root\n{\n\tuint ConfigRevision 12\n\n\tdeclare VirtualHUB\n\t{\n\t\tdeclare DEFAULT\n\t\t{\n" +
		"\t\t\tbyte HashedPassword xHYcRAAci1w/8AxcVZHJ1MPGXKw=\n\t\t\tdeclare SecurityAccountDatabase\n\t\t\t{\n\t\t\t\tdeclare UserList\n\t\t\t\t{\n" +
		"\t\t\t\t\tdeclare alice\n\t\t\t\t\t{\n\t\t\t\t\t\tbyte AuthNtLmSecureHash iEb36u6PsRetBr3YMLdYbA==\n\t\t\t\t\t\tbyte AuthPassword nSBsqvVeSws6oSxE8RRdDAoWgAU=\n\t\t\t\t\t\tuint AuthType 1\n" +
		"\t\t\t\t\t\tstring Note AuthNtLmSecureHash$20of$20hers\n\n\t\t\t\t\t\tdeclare SendTraffic\n\t\t\t\t\t\t{\n\t\t\t\t\t\t\tuint64 BroadcastBytes 0\n\t\t\t\t\t\t}\n\t\t\t\t\t}\n" +
		"\t\t\t\t\tdeclare bob$20smith\n\t\t\t\t\t{\n\t\t\t\t\t\tbyte AuthNtLmSecureHash CGfMuyzpIC50xHVGA4y+7Q==\r\n\t\t\t\t\t\tuint AuthType 1\n\t\t\t\t\t}\n" +
		"\t\t\t\t\tdeclare radius\n\t\t\t\t\t{\n\t\t\t\t\t\tstring AuthRadiusUsername $\n\t\t\t\t\t\tuint AuthType 4\n\t\t\t\t\t}\n" +
		"\t\t\t\t\tdeclare old\n\t\t\t\t\t{\n\t\t\t\t\t\tbyte AuthPassword nSBsqvVeSws6oSxE8RRdDAoWgAU=\n\t\t\t\t\t\tuint AuthType 1\n\t\t\t\t\t}\n\t\t\t\t}\n\t\t\t}\n\t\t}\n\t}\n}\n"
	users := imported(t, "AuthNtLmSecureHash", "/usr/local/vpnserver/vpn_server.config", config)
	var got []string
	for _, u := range users {
		got = append(got, u.Name+":"+hex.EncodeToString(u.NTHash.Reveal())+":"+string(u.Password.Reveal()))
	}
	if want := []string{"alice:8846f7eaee8fb117ad06bdd830b7586c:", "bob smith:0867ccbb2ce9202e74c47546038cbeed:"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
