package conf

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

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
	if c.Network.Domain != "corp.example.com" || len(c.Groups[0].Routes) != 2 || c.Groups[0].Domain != "staff.example" || c.Groups[0].DNS[0] != "10.0.0.53" {
		t.Errorf("%+v %+v", c.Network, c.Groups)
	}
	// An empty list is said, and not the same as none.
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
		`adit.toml:8: network.routes[0]: "192.168.0.0" is not an IPv4 network`,
		`adit.toml:8: network.routes[1]: "0.0.0.0/0" is everything: leave routes empty`,
		`adit.toml:9: network.domain: "two domains" is not one domain`,
		`adit.toml:12: group[0].routes: 32 networks take 256 bytes of the 255 that a DHCP option has`,
		`adit.toml:13: group[0].dns: clients take at most two name servers`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing: %s\ngot:\n%v", want, err)
		}
	}
}

func TestTheUsersFileKeepsSettings(t *testing.T) {
	name := filepath.Join(t.TempDir(), UsersFile)
	want := []User{
		{Name: "alice", Password: secret.String("x"), Routes: []string{}, Domain: "corp.example"},
		{Name: "bob", Password: secret.String("y"), Routes: []string{"10.0.0.0/8", "192.168.7.0/24"}, DNS: []string{"1.1.1.1"}},
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
