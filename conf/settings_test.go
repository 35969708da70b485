package conf

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/secret"
)

const oneUser = "[ipsec]\npsk = \"" + goodPSK + "\"\n[[user]]\nname = \"alice\"\npassword = \"x\"\n"

func TestSettingsOfNetworkGroupAndUser(t *testing.T) {
	c, err := load(t, oneUser+`routes = []
group = "staff"
[[group]]
name = "staff"
routes = ["10.0.0.0/8", "192.168.7.0/24"]
dns = ["10.0.0.53"]
domain = "staff.example"
[network]
routes = ["192.168.0.0/16"]
domain = "corp.example.com"
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Network.Domain != "corp.example.com" || len(c.Groups[0].Routes) != 2 || c.Groups[0].Domain != "staff.example" || c.Groups[0].DNS[0].String() != "10.0.0.53" {
		t.Errorf("%+v %+v", c.Network, c.Groups)
	}
	// An empty list is a setting, and not the same as no list.
	if c.Users[0].Routes == nil || c.Users[0].DNS != nil {
		t.Errorf("routes %#v, dns %#v", c.Users[0].Routes, c.Users[0].DNS)
	}
}

func TestSettingsThatClientsCannotBeTold(t *testing.T) {
	long := `"10.0.0.0/24"`
	for range 31 {
		long += `, "10.0.0.0/24"`
	}
	_, err := load(t, oneUser+`routes = ["10.1.2.3/8"]
[network]
routes = ["192.168.0.0", "0.0.0.0/0"]
domain = "two domains"
[[group]]
name = "staff"
routes = [`+long+`]
dns = ["1.1.1.1", "1.1.1.2", "1.1.1.3"]
`)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`adit.toml:6: user[0].routes[0]: "10.1.2.3/8" has bits behind the prefix: write 10.0.0.0/8`,
		`adit.toml:8: network.routes[0]: "192.168.0.0" is not a network`,
		`adit.toml:8: network.routes[1]: "0.0.0.0/0" is everything: leave routes empty`,
		`adit.toml:9: network.domain: "two domains" is not one domain`,
		`adit.toml:12: group[0].routes: 32 networks take 256 bytes of the 255 that a DHCP option has`,
		`adit.toml:13: group[0].dns: clients take at most two name servers of IPv4`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing: %s\ngot:\n%v", want, err)
		}
	}
}

func TestTheUsersFileKeepsSettings(t *testing.T) {
	name := filepath.Join(t.TempDir(), UsersFile)
	want := []User{
		{Name: "alice", Password: secret.String("x"), Routes: []netip.Prefix{}, Domain: "corp.example"},
		{Name: "bob", Password: secret.String("y"), Routes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.7.0/24")}, DNS: []netip.Addr{netip.MustParseAddr("1.1.1.1")}},
	}
	if err := EditUsers(name, func([]User) ([]User, error) { return want, nil }); err != nil {
		t.Fatal(err)
	}
	got, err := ReadUsers(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i].Routes, want[i].Routes) || !reflect.DeepEqual(got[i].DNS, want[i].DNS) || got[i].Domain != want[i].Domain {
			t.Errorf("user %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestIPv6(t *testing.T) {
	c, err := load(t, oneUser+`address6 = "2001:db8:9::7"
prefix6 = "2001:db8:1:7::/64"
delegated6 = "2001:db8:8::/48"
[network]
pool6 = ["2001:db8:1::/48", "fd00:1::/56"]
delegate6 = "2001:db8:f000::/40"
masquerade6 = true
dns = ["9.9.9.9", "2620:fe::9"]
routes = ["10.0.0.0/8", "2001:db8::/32"]
`)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Network.HasIPv6() || c.Network.Delegate6Bits != 56 || c.Users[0].Prefix6.String() != "2001:db8:1:7::/64" {
		t.Errorf("%+v", c.Network)
	}
}

func TestIPv6ThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		`pool6 = ["10.0.0.0/8"]`:                                                 `network.pool6[0]: "10.0.0.0/8" is not an IPv6 network`,
		`pool6 = ["2001:db8::1/48"]`:                                             `has bits behind the prefix: write 2001:db8::/48`,
		`pool6 = ["fe80::/64"]`:                                                  `not of addresses that hosts can have`,
		`pool6 = ["2001:db8::/127"]`:                                             `"2001:db8::/127" is not between /16 and /126`,
		"pool6 = [\"2001:db8::/48\"]\nmtu = 1200":                                `IPv6 needs network.mtu of at least 1280, not 1200`,
		`pool6 = ["2001:db8:1::/48", "2001:db8:2::/64"]`:                         `name networks of one kind`,
		`pool6 = ["2001:db8:1::/48", "2001:db8:1:700::/56"]`:                     `2001:db8:1:700::/56 overlaps 2001:db8:1::/48`,
		`delegate6 = "2001:db8:f000::/40"`:                                       `network.delegate6: needs network.pool6`,
		`masquerade6 = true`:                                                     `network.masquerade6: needs network.pool6`,
		"pool6 = [\"2001:db8::/48\"]\ndelegate6 = \"2001:db8::/40\"":             `network.delegate6: 2001:db8::/40 overlaps 2001:db8::/48`,
		"pool6 = [\"2001:db8::/48\"]\ndelegate6 = \"2001:db8:f000::/60\"":        `network.delegate6_bits: 56 is not between 61 and 64`,
		"pool6 = [\"2001:db8::/48\"]\nmode = \"tap\"\nlan = \"10.83.0.0/16\"":    `network.pool6: IPv6 needs mode = "tun"`,
		"[[user]]\nname = \"bob\"\npassword = \"x\"\naddress6 = \"2001:db8::1\"": `user[1].address6: does nothing without network.pool6`,
		"pool6 = [\"2001:db8::/48\"]\n[[user]]\nname = \"bob\"\npassword = \"x\"\nprefix6 = \"2001:db8::/48\"": `user[1].prefix6: "2001:db8::/48" is no /64`,
		"pool6 = [\"2001:db8::/48\"]\n[[user]]\nname = \"bob\"\npassword = \"x\"\naddress6 = \"2001:db8::7\"":  `user[1].address6: "2001:db8::7" is in a /64 that network.pool6, 2001:db8::/48, may give to somebody else: set prefix6`,
		"pool6 = [\"2001:db8::/64\"]\n[[user]]\nname = \"bob\"\npassword = \"x\"\nprefix6 = \"2001:db8::/64\"": `user[1].prefix6: "2001:db8::/64" holds addresses of network.pool6`,
	} {
		_, err := load(t, oneUser+"[network]\n"+text+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// Every key of a user and of a group is in the users file after an edit, once.
func TestTheUsersFileKeepsEveryKey(t *testing.T) {
	var u User
	var g Group
	for _, f := range keysOf(reflect.TypeFor[User]()) {
		if err := u.Set(f.Tag.Get("toml"), exampleOf(t, f)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range keysOf(reflect.TypeFor[Group]()) {
		key := f.Tag.Get("toml")
		// A group with keys stands in the configuration alone.
		if strings.Contains(key, "psk") || strings.Contains(key, "secret") {
			continue
		}
		if err := g.Set(key, exampleOf(t, f)); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), UsersFile)
	want := Local{Users: []User{u}, Groups: []Group{g}}
	if err := EditLocal(name, func(l *Local) error { *l = want; return nil }); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLocal(name)
	if err != nil || !reflect.DeepEqual(got, want) {
		text, _ := os.ReadFile(name)
		t.Errorf("%v: the file is\n%s", err, text)
	}
}

// exampleOf is a value of a key other than the zero value, as a text.
func exampleOf(t *testing.T, f reflect.StructField) string {
	t.Helper()
	switch key := f.Tag.Get("toml"); {
	case f.Type.Kind() == reflect.Bool:
		return "true"
	case f.Type.Kind() == reflect.Int:
		return "7"
	case f.Type == reflect.TypeFor[NTHash]():
		return strings.Repeat("ab", 16)
	case f.Type == reflect.TypeFor[netip.Addr]() && f.Tag.Get("ip") == "IPv4":
		return "10.83.0.9"
	case f.Type == reflect.TypeFor[netip.Addr]():
		return "2001:db8::7"
	case f.Type == reflect.TypeFor[netip.Prefix]():
		return "2001:db8:7::/48"
	case key == "dns":
		return "9.9.9.9,2620:fe::9"
	case key == "routes":
		return "10.0.0.0/8"
	case f.Type == reflect.TypeFor[time.Duration]():
		return "90m"
	case f.Type == reflect.TypeFor[limit.Rate]():
		return "10 Mbit/s"
	case f.Type == reflect.TypeFor[limit.Octets]():
		return "5 GB"
	case key == "hours":
		return "Mo-Fr 07:00-19:00"
	case f.Type.Kind() == reflect.String, f.Type == secretType:
		return `a "text" of \ ` + key
	default:
		t.Fatalf("%s: no example of a %v", key, f.Type)
		return ""
	}
}
