package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

const goodPSK = "a-long-random-enough-key"

// load parses text as a file whose state directory is empty.
func load(t *testing.T, text string, environ ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "adit.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, append([]string{"ADIT_SERVER_STATE_DIR=" + dir}, environ...))
}

func TestPSKAndOneUserAreEnough(t *testing.T) {
	c, err := load(t, `
[ipsec]
psk = "`+goodPSK+`"
[[user]]
name = "alice"
password = "p"
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Network.Pool[0].String() != "10.83.0.0/16" || c.Network.MTU != 1400 || !c.Network.Masquerade ||
		c.Auth.Methods[0] != "mschapv2" || c.Limits.HalfOpen != 4096 {
		t.Errorf("defaults are wrong: %+v", c)
	}
}

func TestEveryWrongKeyIsNamedWithItsLineAndASuggestion(t *testing.T) {
	_, err := load(t, `[server]
listn = ["0.0.0.0"]

[ipsec]
psk = "short"
nat_traversal = "never"

[network]
mtu = "big"
pool = ["10.0.0.0/99"]
mode = "user"

[[user]]
name = "alice"
pasword = "x"

[[user]]
name = "alice"
password = "y"

[nonsense]
a = 1
`)
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	text := err.Error()
	for _, want := range []string{
		`adit.toml:2: server.listn: unknown key; did you mean "listen"?`,
		`adit.toml:5: ipsec.psk: the pre-shared key is shorter than 16 characters`,
		`allow_weak_psk = true`,
		`adit.toml:6: ipsec.nat_traversal: "never" is not one of always, auto`,
		`adit.toml:9: network.mtu: must be a whole number, not a string`,
		`adit.toml:10: network.pool[0]: "10.0.0.0/99" is not a network`,
		`adit.toml:11: network.mode: user-space networking is not built yet`,
		`adit.toml:15: user[0].pasword: unknown key; did you mean "password"?`,
		`adit.toml:18: user[1].name: "alice" is there twice`,
		`adit.toml:21: nonsense: unknown key`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("got:\n%s", text)
	}
}

func TestSyntaxErrorHasItsLine(t *testing.T) {
	_, err := load(t, "[ipsec]\npsk = \n")
	if err == nil || !strings.Contains(err.Error(), "adit.toml:2:") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	c, err := load(t, "[ipsec]\npsk = \"xxxxxxxxxxxxxxxxxxxx\"\n",
		"ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=alice:a,bob:b:c", "ADIT_NETWORK_DNS=1.1.1.1, 8.8.8.8",
		"ADIT_NETWORK_MTU=1300", "ADIT_NETWORK_MASQUERADE=false", "ADIT_RADIUS_TIMEOUT=5s")
	if err != nil {
		t.Fatal(err)
	}
	if !c.IPsec.PSK[0].Equal(secret.String(goodPSK)) || len(c.Users) != 2 || !c.Users[1].Password.Equal(secret.String("b:c")) ||
		c.Network.DNS[1].String() != "8.8.8.8" || c.Network.MTU != 1300 || c.Network.Masquerade || c.Radius.Timeout != 5*time.Second {
		t.Errorf("got %+v", c)
	}
	if _, err := load(t, "", "ADIT_IPSEC_PKS=x"); err == nil || !strings.Contains(err.Error(), "ADIT_IPSEC_PKS: unknown environment variable") {
		t.Errorf("a misspelt variable: %v", err)
	}
}

func TestVariablesOfTheWidelyUsedImage(t *testing.T) {
	c, err := load(t, "", "VPN_IPSEC_PSK="+goodPSK, "VPN_USER=u1", "VPN_PASSWORD=p1",
		"VPN_ADDL_USERS=u2 u3", "VPN_ADDL_PASSWORDS=p2 p3", "VPN_DNS_SRV1=1.1.1.1", "VPN_DNS_SRV2=1.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Users) != 3 || c.Users[2].Name != "u3" || !c.Users[2].Password.Equal(secret.String("p3")) || c.Network.DNS[1].String() != "1.0.0.1" {
		t.Errorf("got %+v", c.Users)
	}
	if _, err := load(t, "", "VPN_IPSEC_PSK="+goodPSK, "VPN_ADDL_USERS=u2 u3", "VPN_ADDL_PASSWORDS=p2"); err == nil {
		t.Error("two names with one password were accepted")
	}
}

func TestSecretsNeverShowInErrors(t *testing.T) {
	_, err := load(t, "[ipsec]\npsk = [\"hunter2\", 5]\n[[user]]\nname = 7\npassword = [\"swordfish\"]\n", "ADIT_USERS=swordfish")
	if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("got %v", err)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	psk := filepath.Join(dir, "psk")
	if err := os.WriteFile(psk, []byte(goodPSK+"\n"+goodPSK+"-next\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "", "ADIT_IPSEC_PSK_FILE="+psk, "ADIT_USERS=a:b")
	if err != nil || len(c.IPsec.PSK) != 2 {
		t.Fatalf("%v %v", c, err)
	}
	if err := os.Chmod(psk, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, "", "ADIT_IPSEC_PSK_FILE="+psk, "ADIT_USERS=a:b"); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a world-readable secret: %v", err)
	}
}

func TestWeakPSKIsAdmittedOnlyOnRequest(t *testing.T) {
	for _, psk := range []string{"short", "0123456789ABCDEF"} {
		if _, err := load(t, "", "ADIT_IPSEC_PSK="+psk, "ADIT_USERS=a:b"); err == nil {
			t.Errorf("%q was accepted", psk)
		}
		c, err := load(t, "", "ADIT_IPSEC_PSK="+psk, "ADIT_USERS=a:b", "ADIT_IPSEC_ALLOW_WEAK_PSK=true")
		if err != nil || !c.WeakPSK() {
			t.Errorf("%q with allow_weak_psk: %v", psk, err)
		}
	}
}

func TestUsersFileSurvivesEditsAndOddNames(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state", UsersFile)
	odd := User{Name: `we"ird\nа`, Password: secret.String("p\"\\\n\x01ß")}
	add := func(u User) func([]User) ([]User, error) {
		return func(us []User) ([]User, error) { return append(us, u), nil }
	}
	if err := EditUsers(name, add(odd)); err != nil {
		t.Fatal(err)
	}
	if err := EditUsers(name, add(User{Name: "bob", NTHash: NTHash{secret.String(strings.Repeat("\xab", 16))}, Address: netip.MustParseAddr("10.83.0.9")})); err != nil {
		t.Fatal(err)
	}
	users, err := ReadUsers(name)
	if err != nil || len(users) != 2 || users[0].Name != odd.Name || !users[0].Password.Equal(odd.Password) || users[1].Address.String() != "10.83.0.9" || users[1].NTHash.digits() != strings.Repeat("ab", 16) {
		t.Fatalf("%+v %v", users, err)
	}
	before, _ := os.ReadFile(name)
	if err := EditUsers(name, func([]User) ([]User, error) { return nil, errors.New("no") }); err == nil {
		t.Error("a failed edit reported success")
	}
	if after, _ := os.ReadFile(name); string(after) != string(before) {
		t.Error("a failed edit changed the file")
	}
	if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestTAPNeedsItsLAN(t *testing.T) {
	base := []string{"ADIT_IPSEC_PSK=" + goodPSK, "ADIT_USERS=a:b", "ADIT_NETWORK_MODE=tap"}
	if _, err := load(t, "", base...); err == nil || !strings.Contains(err.Error(), "network.lan") {
		t.Errorf("without lan: %v", err)
	}
	ok := append(base, "ADIT_NETWORK_LAN=192.168.1.0/24", "ADIT_NETWORK_GATEWAY=192.168.1.1", "ADIT_NETWORK_POOL=192.168.1.200-192.168.1.250")
	if _, err := load(t, "", ok...); err != nil {
		t.Error(err)
	}
	if _, err := load(t, "", append(ok, "ADIT_NETWORK_POOL=192.168.2.200-192.168.2.250")...); err == nil {
		t.Error("a pool outside the LAN was accepted")
	}
}

func TestAnEmptySecretFileIsNoSecret(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ text, want string }{
		{"[ipsec]\npsk_file = '" + empty + "'\n[[user]]\nname = 'a'\npassword = 'p'\n", "ipsec.psk_file: " + empty + " is empty"},
		{"[ipsec]\npsk = '" + goodPSK + "'\n[[user]]\nname = 'a'\npassword_file = '" + empty + "'\n", "user[0].password_file: " + empty + " is empty"},
	} {
		if _, err := load(t, tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestStaticAddressesThatNobodyCanHave(t *testing.T) {
	for address, want := range map[string]string{
		"10.83.0.2": "", "10.83.255.254": "", "10.84.0.1": "", "192.0.2.255": "", "192.168.1.201": "", "192.168.1.250": "",
		"10.83.0.0":     "of all of the network",
		"10.83.0.1":     "the server's own",
		"10.83.255.255": "of all of the network",
		"192.168.1.200": "the server's own",
		"127.0.0.1":     "not an address that a client can have",
		"224.0.0.5":     "not an address that a client can have",
		"0.0.0.0":       "not an address that a client can have",
		"255.1.1.1":     "not an address that a client can have",
		"fe80::1":       "not an IPv4 address",
		"10.83.0":       "not an IPv4 address",
	} {
		c, u := Default(), User{Name: "alice"}
		c.Network.Pool = make([]AddressRange, 3) // the last cannot be read
		for i, text := range []string{"10.83.0.7/16", "192.168.1.200-192.168.1.250"} {
			if err := c.Network.Pool[i].UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		err := u.Set("address", address)
		if err == nil {
			err = c.CheckUser(u)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

func TestAUserThatIsThereTwiceIsNamedWithBothPlaces(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, UsersFile)
	if err := EditUsers(users, func([]User) ([]User, error) {
		return []User{{Name: "alice", Password: secret.String("p")}, {Name: "bob", Password: secret.String("p"), Address: netip.MustParseAddr("fe80::1")}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := Load("", []string{"ADIT_SERVER_STATE_DIR=" + dir, "ADIT_IPSEC_PSK=" + goodPSK, "ADIT_USERS=carol:p,alice:p"})
	for _, want := range []string{
		users + `:4: user[0].name: "alice" is there twice: in the environment, too`,
		users + `:10: user[1].address: "fe80::1" is not an IPv4 address`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Only users of the users file can change their passwords: the server writes no other.
func TestAPasswordToChangeIsInTheUsersFile(t *testing.T) {
	if _, err := load(t, "[[user]]\nname = 'alice'\npassword = 'p'\nmust_change = true\n", "ADIT_IPSEC_PSK="+goodPSK); err == nil ||
		!strings.Contains(err.Error(), "adit.toml:4: user[0].must_change: would lock user \"alice\" out") || !strings.Contains(err.Error(), "adit user add -must-change alice") {
		t.Errorf("in the file: %v", err)
	}
	dir := t.TempDir()
	if err := EditUsers(filepath.Join(dir, UsersFile), func([]User) ([]User, error) {
		return []User{{Name: "alice", Password: secret.String("p"), MustChange: true}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	file := writeIn(t, dir, "adit.toml", 0o600, "[server]\nstate_dir = '"+dir+"'\n[ipsec]\npsk = '"+goodPSK+"'\n[[user]]\nname = 'bob'\npassword = 'p'\n")
	c, err := Load(file, nil)
	if err != nil {
		t.Fatalf("in the users file: %v", err)
	}
	started := *c
	started.Network.Device = "adit7"
	if m, err := c.InForce(&started); err != nil || len(m.Users) != 2 || !m.Users[1].MustChange {
		t.Errorf("with a key that waits for a restart: %v", err)
	}
}

func TestPoolsMustNotOverlap(t *testing.T) {
	tap := "mode = 'tap'\nlan = '192.168.0.0/16'\n"
	for _, tc := range []struct {
		text    string
		overlap bool
	}{
		{"pool = ['10.9.0.0/16', '10.9.1.0/24']", true},
		{"pool = ['10.8.0.0/16', '10.9.0.0/16']", false},
		{tap + "pool = ['192.168.1.10-192.168.1.20', '192.168.1.20-192.168.1.30']", true},
		{tap + "pool = ['192.168.1.10-192.168.1.20', '192.168.1.21-192.168.1.30']", false},
		{tap + "pool = ['192.168.1.64/26', '192.168.1.60-192.168.1.200']", true},
		{tap + "pool = ['192.168.1.60-192.168.1.70', '192.168.1.64/26']", true},
		{tap + "pool = ['192.168.1.10-192.168.1.20', '192.168.1.64/26']", false},
	} {
		_, err := load(t, "[network]\n"+tc.text, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b")
		if got := err != nil && strings.Contains(err.Error(), "overlaps"); got != tc.overlap || !tc.overlap && err != nil {
			t.Errorf("%s: %v", tc.text, err)
		}
	}
}

// What the environment sets is not in the file: an error that named a line
// there would send people to the wrong place.
func TestErrorsInTheEnvironmentNameTheVariable(t *testing.T) {
	_, err := load(t, "[ipsec]\npsk = \""+goodPSK+"\"\n", "ADIT_USERS=a:b",
		"ADIT_IPSEC_VENDOR_IDS=nat-t,foo", "ADIT_IPSEC_NAT_TRAVERSAL=Auto", "ADIT_SERVER_PUBLIC=https://vpn.example.com")
	for _, want := range []string{
		`ADIT_IPSEC_VENDOR_IDS: "foo" is not one of`, `ADIT_IPSEC_NAT_TRAVERSAL: "Auto" is not one of`, `ADIT_SERVER_PUBLIC: "https://vpn.example.com" is not a name`,
	} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("got\n%v\nwant a line that begins with %s", err, want)
		}
	}
}

func TestServerPublicIsWhatClientsDial(t *testing.T) {
	for public, good := range map[string]bool{
		"": true, "vpn.example.com": true, "vpn": true, "192.0.2.1": true, "2001:db8::1": true, "vpn.müller.example": true,
		"vpn.example.com:500": false, "https://vpn.example.com": false, "vpn example": false, "[2001:db8::1]": false, "user@vpn": false,
	} {
		_, err := load(t, fmt.Sprintf("[server]\npublic = %q\n[ipsec]\npsk = %q\n", public, goodPSK), "ADIT_USERS=a:b")
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "adit.toml:2: server.public") {
			t.Errorf("%q: %v", public, err)
		}
	}
}

// A message says what to write instead, where there is little doubt.
func TestAdviceOfErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[network]\npool = '10.83.0.0/16'\n": `network.pool: must be a list, not a string: put it in brackets, as in ["…"]`,
		"[network]\npool = 10\n":             "network.pool: must be a list, not a number\n",
		"[network.pool]\na = 1\n":            "network.pool: must be a list, not a table\n",
		"[ipsec]\nx = 1\n":                   "ipsec.x: unknown key\n",
		"[user]\nname = 'a'\n":               "user: must be a list, not a table: write [[user]] in place of [user], once for each\n",
		"[radius.servers]\naddress = 'a'\n":  "radius.servers: must be a list, not a table: write [[radius.servers]] in place of [radius.servers], once for each\n",
		"[[ipsec]]\nmtu = 1\n":               "ipsec: must be a table, not a list: write [ipsec] in place of [[ipsec]], and all keys below one\n",
		"[ipsec]\npsk = 12345678\n":          "ipsec.psk: must be a string in quotation marks, or a list of them, not a number\n",
		"[ipsec]\npsk = ''\nallow_weak_psk = true\n[[user]]\nname='a'\npassword='p'\n":              "ipsec.psk: is empty: set a random pre-shared key of 16 characters or more, or remove the line\n",
		"[[group]]\nname = 'g'\npsk = ''\n":                                                         "group[0].psk: is empty: set a random pre-shared key of 16 characters or more, or remove the line\n",
		"[auth]\nbackend = 'radius'\n":                                                              `radius.servers: missing: auth.backend is radius: name a server, as in [{`,
		"[auth]\nbackend = 'radius'\n[radius]\nservers = [{ address = '192.0.2.1' }]\n":             "radius.servers[0].secret: missing: set it, or secret_file",
		"[ipsec]\npsk = '" + goodPSK + "'\n[[user]]\nname='a'\npassword='p'\naddress='127.0.0.1'\n": "user[0].address: 127.0.0.1 is not an address that a client can have",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestDeadPeerTimeout(t *testing.T) {
	for value, want := range map[string]string{
		"20s": "", "45s": "", "2m": "", "1h": "",
		"19s": "within it a silent client is asked five times", "0s": "from 20s to 1h", "61m": "from 20s to 1h",
	} {
		_, err := load(t, "[server]\ndead_peer_timeout = '"+value+"'\n", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
