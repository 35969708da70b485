package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhoMayChangeSessions(t *testing.T) {
	const before = oneUser + "[radius]\n"
	c, err := load(t, before+"coa_listen = ':3799'\ncoa_clients = [{ address = '192.0.2.1', secret = 's' }, { address = '2001:db8::/64', secret = 't', allow_unsigned = true }, { address = '::ffff:192.0.2.7', secret = 'u' }]\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Radius.CoAClients {
		got = append(got, s.Address.Prefix.String()+" "+s.Address.String())
	}
	if want := "192.0.2.1/32 192.0.2.1, 2001:db8::/64 2001:db8::/64, 192.0.2.7/32 192.0.2.7"; strings.Join(got, ", ") != want {
		t.Errorf("they are %q", got)
	}
	for text, want := range map[string]string{
		"coa_listen = '3799'\n":  `7: radius.coa_listen: "3799" is not host:port, as in ":3799"`,
		"coa_listen = ':3799'\n": "radius.coa_clients: missing: nobody may ask at radius.coa_listen",
		"coa_listen = ':3799'\nservers = [{ address = 'r:2083', tls_ca = 'ca', tls_certificate = 'c', tls_private_key = 'k' }]\n": "radius.coa_clients: missing: nobody may ask",
		"coa_clients = [{ address = '192.0.2.1', secret = 's' }]\n":                                                               "7: radius.coa_clients: does nothing without radius.coa_listen",
		"coa_listen = ':3799'\ncoa_clients = [{ secret = 's' }]\n":                                                                "8: radius.coa_clients[0].address: missing: name the host that asks",
		"coa_listen = ':3799'\ncoa_clients = [{ address = '192.0.2.1' }]\n":                                                       "8: radius.coa_clients[0].secret: missing: set it, or secret_file",
		"coa_listen = ':3799'\ncoa_clients = [{ address = 'host', secret = 's' }]\n":                                              `8: radius.coa_clients[0].address: "host" is neither an address such as "192.0.2.1" nor a network`,
		"coa_listen = ':3799'\ncoa_clients = [{ address = '192.0.2.1/24', secret = 's' }]\n":                                      `"192.0.2.1/24" has bits behind the prefix: write 192.0.2.0/24`,
		"coa_listen = ':3799'\ncoa_clients = [{ net = '192.0.2.1', secret = 's' }]\n":                                             "8: radius.coa_clients[0].net: unknown key",
		"coa_listen = ':3799'\ncoa_clients = ['192.0.2.1']\n":                                                                     "8: radius.coa_clients[0]: must be a table, not a string",
		"coa_listen = ':3799'\ncoa_clients = [{ address = '192.0.2.1', secret_file = 'no' }]\n":                                   "8: radius.coa_clients[0].secret_file: cannot read the secret",
		"[limits]\non_excess = 'kick'\n":                                                                                          `8: limits.on_excess: "kick" is not one of deny, replace`,
		"[auth]\nstrip = ['domain', 'real']\n":                                                                                    `8: auth.strip[1]: "real" is not one of domain, realm`,
	} {
		_, err := load(t, before+text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: missing: %s\ngot:\n%v", text, want, err)
		}
	}
	if c := Default(); c.Limits.OnExcess != ExcessDeny || !c.Auth.FoldCase || c.Auth.Strip != nil {
		t.Errorf("by default %+v %+v", c.Limits, c.Auth)
	}
	if _, err := load(t, before+"coa_listen = ':3799'\nservers = [{ accounting = 'r:1813', secret = 's' }]\n"); err != nil {
		t.Errorf("the servers themselves may not: %v", err)
	}
}

// Who may change sessions can be said by the environment alone.
func TestWhoMayChangeSessionsByTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"ADIT_IPSEC_PSK=" + goodPSK, "ADIT_USERS=alice:x", "ADIT_RADIUS_COA_LISTEN=:3799"}
	for secret, want := range map[string]string{"ADIT_RADIUS_COA_SECRET=s": "s", "ADIT_RADIUS_COA_SECRET_FILE=" + file: "from a file"} {
		c, err := Load("", append([]string{"ADIT_RADIUS_COA_CLIENTS=192.0.2.1, 198.51.100.0/24", secret}, base...))
		if err != nil {
			t.Fatal(err)
		}
		list := c.Radius.CoAClients
		if len(list) != 2 || list[1].Address.String() != "198.51.100.0/24" || string(list[0].Secret.Reveal()) != want || string(list[1].Secret.Reveal()) != want {
			t.Errorf("%s: %+v", secret, list)
		}
	}
	for text, want := range map[string]string{
		"ADIT_RADIUS_COA_SECRET=s":                              "ADIT_RADIUS_COA_SECRET: does nothing without those who have it",
		"ADIT_RADIUS_COA_SECRET_FILE=f":                         "ADIT_RADIUS_COA_SECRET_FILE: does nothing without those who have it",
		"ADIT_RADIUS_COA_CLIENTS=192.0.2.1":                     "ADIT_RADIUS_COA_CLIENTS: missing: set it, or secret_file",
		"ADIT_RADIUS_COA_CLIENTS=host ADIT_RADIUS_COA_SECRET=s": `ADIT_RADIUS_COA_CLIENTS: "host" is neither`,
		"ADIT_RADIUS_COA_CLIENTS=192.0.2.1 ADIT_RADIUS_COA_SECRET=s ADIT_RADIUS_COA_SECRET_FILE=f": "not both",
	} {
		if _, err := Load("", append(strings.Fields(text), base...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: missing: %s\ngot:\n%v", text, want, err)
		}
	}
}
