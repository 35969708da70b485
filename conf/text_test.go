package conf

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// garbage is a text that only secrets and plain strings accept.
const garbage = "no/ such value"

// readKey is a key whose value is read from a text, and where it stands.
type readKey struct {
	table, name string // "network", "pool"; of a list of tables "[user]"
	list        bool
}

// String is the key as errors have it.
func (k readKey) String() string {
	if table, ok := strings.CutPrefix(k.table, "["); ok {
		return strings.TrimSuffix(table, "]") + "[0]." + k.name
	}
	return k.table + "." + k.name
}

// file has the key with a text that cannot be read in its last line.
func (k readKey) file() string {
	beside := map[string]string{
		"[user]": "name = \"alice\"\npassword = \"p\"\n", "[group]": "name = \"staff\"\n",
		"[filter]": "name = \"web\"\n", "[pool]": "name = \"staff\"\naddresses = [\"10.99.0.0/24\"]\n",
		"[link]":           "name = \"a\"\nremote = [\"192.0.2.7\"]\nuser = \"u\"\npassword = \"p\"\n",
		"[tunnel]":         "name = \"t\"\nmode = \"gre\"\nremote = \"192.0.2.7\"\n",
		"[radius.servers]": "address = \"192.0.2.1:1812\"\nsecret = \"s\"\n",
	}[k.table]
	switch k.String() {
	case "user[0].nt_hash":
		beside = "name = \"alice\"\n"
	case "link[0].remote":
		beside = "name = \"a\"\nuser = \"u\"\npassword = \"p\"\n"
	case "pool[0].addresses":
		beside = "name = \"staff\"\n"
	case "tunnel[0].mode":
		beside = "name = \"t\"\nremote = \"192.0.2.7\"\n"
	case "tunnel[0].remote":
		beside = "name = \"t\"\nmode = \"gre\"\n"
	case "radius.servers[0].address":
		beside = "secret = \"s\"\n"
	}
	value := fmt.Sprintf("%q", garbage)
	if k.list {
		value = "[" + value + "]"
	}
	return "[" + k.table + "]\n" + beside + k.name + " = " + value + "\n"
}

// readKeys are all such keys that there are.
func readKeys(t reflect.Type, table string) (list []readKey) {
	for _, f := range keysOf(t) {
		name, of := f.Tag.Get("toml"), f.Type
		if of.Kind() == reflect.Slice && !isText(of) && !isTables(of) {
			of = of.Elem()
		}
		switch {
		case name == "-" || of == secretType:
		case isText(of) || of == durationType:
			list = append(list, readKey{table, name, of != f.Type})
		case isTables(of):
			list = append(list, readKeys(of.Elem(), "["+join(strings.Trim(table, "[]"), name)+"]")...)
		case of.Kind() == reflect.Struct:
			list = append(list, readKeys(of, name)...)
		}
	}
	return list
}

// Whatever cannot be read is one error, with its key and its line, and nothing else is
// wrong because of it.
func TestWhatCannotBeReadIsSaidOnce(t *testing.T) {
	keys := readKeys(reflect.TypeFor[Config](), "")
	if len(keys) < 35 {
		t.Fatalf("only %d keys are read from a text: %v", len(keys), keys)
	}
	for _, k := range keys {
		text := k.file()
		_, err := load(t, text, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p")
		var errs Errors
		if !errors.As(err, &errs) || len(errs) != 1 {
			t.Errorf("%v: %v, want one error", k, err)
			continue
		}
		key := k.String()
		if k.list {
			key += "[0]"
		}
		if e := errs[0]; e.Key != key || e.Line != strings.Count(text, "\n") || filepath.Base(e.File) != "adit.toml" {
			t.Errorf("%v: %v, want it of %s in line %d", k, e, key, strings.Count(text, "\n"))
		}
		if quoted := strings.Contains(err.Error(), `"no/`); quoted != (k.name != "nt_hash") {
			t.Errorf("%v: %v, the value stands in it: %v", k, err, quoted)
		}
	}
}

// A variable's value that cannot be read is one error likewise, and the value in the file
// that it overrides need not be readable.
func TestWhatAVariableReplacesNeedNotBeReadable(t *testing.T) {
	for _, k := range readKeys(reflect.TypeFor[Config](), "") {
		if strings.HasPrefix(k.table, "[") {
			continue // they have no variable
		}
		name := variableOf(k.String())
		_, err := load(t, k.file(), name+"="+garbage, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p")
		var errs Errors
		if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Key != name || errs[0].File != "" {
			t.Errorf("%s: %v, want one error of the variable", name, err)
		}
	}
	for variable, file := range map[string]string{
		"ADIT_NETWORK_POOL=10.9.0.0/24, 10.8.0.0/24": "[network]\npool = [\"10.9.0.0/99\"]\n",
		"ADIT_NETWORK_MODE=tun":                      "[network]\nmode = \"tube\"\n",
		"ADIT_NETWORK_LAN=192.168.1.0/24":            "[network]\nlan = \"office\"\n",
		"ADIT_NETWORK_HOST_ACCESS=all":               "[network]\nhost_access = [\"tcp/22\", \"ssh\"]\n",
		"ADIT_SERVER_PUBLIC=vpn.example.com":         "[server]\npublic = \"https://vpn\"\n",
		"ADIT_IPSEC_IKE=aes256-sha1-modp2048":        "[ipsec]\nike = [\"aes257\"]\n",
		"ADIT_RADIUS_TIMEOUT=5s":                     "[radius]\ntimeout = \"5 seconds\"\n",
		"ADIT_ADMIN_METRICS=127.0.0.1:9701":          "[admin]\nmetrics = \"9701\"\n",
		"VPN_DNS_SRV1=1.1.1.1":                       "[network]\ndns = [\"cloudflare\"]\n",
	} {
		if _, err := load(t, file, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p"); err == nil {
			t.Errorf("%q is accepted", file)
		}
		if _, err := load(t, file, variable, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p"); err != nil {
			t.Errorf("%q with %s: %v", file, variable, err)
		}
	}
}

// A value that a mode needs is reported as missing only if it is not there.
func TestWhatCannotBeReadIsNotMissing(t *testing.T) {
	for text, want := range map[string]string{
		"[network]\nmode = 'tap'\nlan = 'office'\npool = ['192.168.1.200-192.168.1.250']\n":     `adit.toml:3: network.lan: "office" is not a network`,
		"[network]\nmode = 'tape'\nlan = '192.168.1.0/24'\npool = ['192.168.1.9-192.168.1.10']": `adit.toml:2: network.mode: "tape" is not one of tun, tap`,
		"[auth]\nbackend = 'RADIUS'\n":                                                        `adit.toml:2: auth.backend: "RADIUS" is not one of local, radius`,
		"[auth]\nmethods = ['peap']\n":                                                        `adit.toml:2: auth.methods[0]: "peap" is not one of mschapv2, eap, chap, pap`,
		"[auth]\nmethods = ['eap']\neap = ['peap']\n":                                         `adit.toml:3: auth.eap[0]: "peap" is not one of mschapv2, tls`,
		"[auth]\nmethods = ['eap']\n":                                                         `auth.eap: missing: auth.methods has eap: name its methods, as in ["mschapv2"]`,
		"[auth]\neap = ['mschapv2']\n":                                                        `adit.toml:2: auth.eap: does nothing: add "eap" to auth.methods`,
		"[auth]\nmethods = ['eap']\neap = ['tls']\n":                                          `adit.toml:3: auth.eap: tls needs ipsec.certificate`,
		"[[user]]\nname = 'alice'\ncertificate = true\n":                                      `adit.toml:3: user[0].certificate: user "alice" could not show one: add "tls" to auth.eap`,
		"[radius]\nservers = [{ address = '192.0.2.1', secret = 's' }]\n":                     `adit.toml:2: radius.servers[0].address: "192.0.2.1" is not host:port, as in "192.0.2.1:1812"`,
		"[radius]\nservers = [{ secret = 's' }]\n":                                            `adit.toml:2: radius.servers[0].address: missing: name the server, as in "192.0.2.1:1812"`,
		"[radius]\nservers = [{ address = 'r:1812', accounting = 'r:none', secret = 's' }]\n": `adit.toml:2: radius.servers[0].accounting: "r:none" has no valid port, as in "192.0.2.1:1813"`,
		"[ipsec]\nike = ['aes-modp2084, rot13']\n":                                            "adit.toml:2: ipsec.ike[0]: \"modp2084\" is not a cipher, hash or group; did you mean \"modp2048\"?\n",
	} {
		_, err := load(t, text, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p")
		if err == nil || !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
	// An element of several proposals has an error for each that is wrong.
	_, err := load(t, "[ipsec]\nike = ['aes-modp2084,rot13']\n", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p")
	if err == nil || !strings.Contains(err.Error(), "modp2084") || !strings.Contains(err.Error(), "rot13") {
		t.Errorf("got %v", err)
	}
}

// Values are written as they are read.
func TestTextsOfValues(t *testing.T) {
	for _, tt := range []struct {
		value interface {
			encoding.TextUnmarshaler
			encoding.TextMarshaler
		}
		texts []string
	}{
		{new(AddressRange), []string{"10.83.0.0/16", "192.168.1.200-192.168.1.250"}},
		{new(Service), []string{"tcp/22", "udp/8000-8010", "all"}},
		{new(Host), []string{"vpn.example.com", "192.0.2.1", "2001:db8::1", ""}},
		{new(HostPort), []string{"192.0.2.1:1812", "[2001:db8::1]:1812", "radius.example.com:radius", ":9701", ""}},
		{new(IKEElement), []string{"aes256-sha1-modp2048", "!3des", "aes256-aes128-sha256-modp2048-ecp256,3des"}},
		{new(ESPElement), []string{"aes256gcm16", "!sha1"}},
	} {
		for _, text := range tt.texts {
			if err := tt.value.UnmarshalText([]byte(text)); err != nil {
				t.Errorf("%T: %v", tt.value, err)
			}
			if got, err := tt.value.MarshalText(); err != nil || string(got) != text {
				t.Errorf("%T: %q is written as %q, %v", tt.value, text, got, err)
			}
		}
	}
}

// An edit leaves the rest of the users file as it is.
func TestTheUsersFileIsWrittenAsItWasRead(t *testing.T) {
	const text = "# Maintained by `adit user` and `adit group`.\n\n[[group]]\nname = \"staff\"\nroutes = [\"10.0.0.0/8\"]\npool = \"desks\"\ndownload = \"50 Mbit/s\"\nsessions = 2\nhours = [\"Mo,Tu 07:00-19:00\"]\n\n[[user]]\nname = \"alice\"\nnt_hash = \"6608e4bc7b2b7a5f77ce3573570775af\"\n" +
		"address = \"10.83.0.9\"\naddress6 = \"2001:db8:9::7\"\nprefix6 = \"2001:db8:1:7::/64\"\ndelegated6 = \"2001:db8:8::/48\"\ngroup = \"staff\"\ndomain = \"corp.example\"\n" +
		"dns = [\"9.9.9.9\", \"2620:fe::9\"]\nroutes = [\"192.168.1.0/24\", \"2001:db8::/32\"]\n" +
		"\n[[user]]\nname = \"bob\"\npassword_file = \"bob.secret\"\ndns = []\nroutes = []\n"
	name := filepath.Join(t.TempDir(), UsersFile)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := EditUsers(name, func(users []User) ([]User, error) { return users, nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != text {
		t.Errorf("%v, the file is\n%s\nand was\n%s", err, got, text)
	}
}

// Keys of a user are set as they are read.
func TestKeysOfAUserAreSet(t *testing.T) {
	u := User{Name: "alice", Address: netip.MustParseAddr("10.83.0.9")}
	for _, tt := range []struct{ key, text, want string }{
		{"address", "10.83.0.10", ""}, {"address", "", ""}, {"address6", "2001:db8::7", ""}, {"dns", "1.1.1.1, 9.9.9.9", ""}, {"routes", "none", ""},
		{"domain", "none", ""}, {"address", "10.83.0", `address: "10.83.0" is not an IPv4 address`}, {"address", "2001:db8::7", `address: "2001:db8::7" is not an IPv4 address`},
		{"address6", "10.83.0.9", `is not an IPv6 address`}, {"prefix6", "10.0.0.0/8", "is not an IPv6 network"}, {"shoe_size", "42", "no such key"},
	} {
		if err := u.Set(tt.key, tt.text); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s = %q: %v, want %q", tt.key, tt.text, err, tt.want)
		}
	}
	if u.Address.IsValid() || u.Address6.IsValid() || len(u.DNS) != 2 || u.Routes == nil || len(u.Routes) != 0 || u.Domain != "none" {
		t.Errorf("%+v", u)
	}
}

// Users of the configuration are judged by its plan, as grants are when they log in.
func TestUsersAreJudgedByThePlan(t *testing.T) {
	const four, six = "[network]\n", "[network]\npool6 = [\"2001:db8:1::/48\"]\ndelegate6 = \"2001:db8:f000::/40\"\n"
	const tap = "[network]\nmode = \"tap\"\nlan = \"192.168.1.0/24\"\ngateway = \"192.168.1.254\"\npool = [\"192.168.1.200-192.168.1.250\"]\n"
	for _, tt := range []struct{ network, key, value, want string }{
		{four, "address", "10.83.0.2", ""}, {four, "address", "172.16.0.1", ""}, {tap, "address", "192.168.1.7", ""}, {tap, "address", "192.168.1.201", ""},
		{four, "address", "10.83.0.1", "10.83.0.1 is the server's own"}, {four, "address", "10.83.255.255", "10.83.255.255 is the address of all of the network 10.83.0.0/16"},
		{tap, "address", "192.168.1.200", "is the server's own"}, {tap, "address", "192.168.1.255", "is the address of all of the network 192.168.1.0/24"},
		{tap, "address", "192.168.1.254", "is an address of the office network's gateway"},
		{six, "address6", "2001:db8:9::7", ""}, {six, "prefix6", "2001:db8:1:7::/64", ""}, {six, "delegated6", "2001:db8:f001::/56", ""}, {six, "delegated6", "2001:db8:8::/48", ""},
		{six, "address6", "fe80::7", `"fe80::7" is not an IPv6 address`}, {six, "address6", "2001:db8:f000::7", `"2001:db8:f000::7" overlaps what network.pool6 or network.delegate6 gives to others`},
		{six, "prefix6", "2001:db8:1::/64", "holds 2001:db8:1::1, the server's own address"}, {six, "prefix6", "2001:db8:9::1/64", "has bits behind the prefix: write 2001:db8:9::/64"},
		{six, "delegated6", "2001:db8:f000::/60", "gives to others"}, {six, "delegated6", "2001:db8:1:700::/56", "gives to others"}, {six, "delegated6", "2001:db8:9::/72", "is no /64"},
		{six, "delegated6", "fe80::/56", "is not an IPv6 address that a client can have"},
	} {
		text := fmt.Sprintf("%s[[user]]\nname = \"alice\"\npassword = \"p\"\n%s = %q\n", tt.network, tt.key, tt.value)
		_, err := load(t, text, "ADIT_IPSEC_PSK="+goodPSK)
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "user[0]."+tt.key+": ")) {
			t.Errorf("%s = %s: %v, want %q", tt.key, tt.value, err, tt.want)
		}
		u := User{Name: "alice"}
		if err := u.Set(tt.key, tt.value); err != nil {
			t.Fatal(err)
		}
		c, err := load(t, tt.network, "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=bob:p")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckUser(u); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("adit user, %s = %s: %v, want %q", tt.key, tt.value, err, tt.want)
		}
	}
}
