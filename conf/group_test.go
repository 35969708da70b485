package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

func TestGroupsHaveKeysOfTheirOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guests")
	if err := os.WriteFile(file, []byte("the key of the guests\nthe next key of the guests\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, `
[[group]]
name = "staff"
psk = "the key of the staff"
[[group]]
name = "guests"
psk_file = '`+file+`'
[[user]]
name = "alice"
password = "p"
group = "staff"
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Groups) != 2 || !c.Groups[0].PSK[0].Equal(secret.String("the key of the staff")) || len(c.Groups[1].PSK) != 2 || c.Users[0].Group != "staff" {
		t.Errorf("groups %+v, users %+v", c.Groups, c.Users)
	}
}

func TestWhatIsWrongWithGroupsIsNamed(t *testing.T) {
	_, err := load(t, `
[ipsec]
psk = "`+goodPSK+`"
[[group]]
name = "staff"
psk = "short"
[[group]]
name = "staff"
[[group]]
psk = "`+goodPSK+`"
[[user]]
name = "alice"
password = "p"
group = "stuff"
`)
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{
		`adit.toml:6: group[0].psk: the pre-shared key is shorter than 16 characters`,
		`adit.toml:8: group[1].name: "staff" is there twice`,
		`adit.toml:9: group[2].name: missing`,
		`adit.toml:10: group[2].psk: is the key of ipsec.psk, too`,
		`adit.toml:14: user[0].group: there is no [[group]] with the name "stuff": there are "staff", "staff"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("got:\n%v", err)
	}
}

func TestAUsersGroupSurvivesTheUsersFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), UsersFile)
	if err := EditUsers(name, func([]User) ([]User, error) {
		return []User{{Name: "alice", Password: secret.String("p"), Group: `st"aff`}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if users, err := ReadUsers(name); err != nil || len(users) != 1 || users[0].Group != `st"aff` {
		t.Errorf("%+v, %v", users, err)
	}
}

func TestVendorIDsHaveKnownNames(t *testing.T) {
	c, err := load(t, "", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b", "ADIT_IPSEC_VENDOR_IDS=nat-t,fragmentation")
	if err != nil || len(c.IPsec.VendorIDs) != 2 || c.IPsec.Aggressive {
		t.Fatalf("%+v, %v", c, err)
	}
	for words, want := range map[string]string{
		`["nat-t", "xauth"]`: `ipsec.vendor_ids[1]: "xauth" is not one of nat-t, dpd, fragmentation, ms, initial-contact`,
		`["dpd"]`:            `ipsec.vendor_ids: must contain "nat-t"`,
	} {
		if _, err := load(t, "[ipsec]\nvendor_ids = "+words+"\n", "ADIT_IPSEC_PSK="+goodPSK, "ADIT_USERS=a:b"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", words, err, want)
		}
	}
}

// A name of the device that leaves no room for the names of users' own is refused, with
// the reason; where nobody has one it is as good as any.
func TestTheDeviceLeavesRoomForUsersOwn(t *testing.T) {
	for device, ok := range map[string]bool{"adit0": true, "tunnel": true, "tunnel0": false, "averylongname12": false} {
		for _, own := range []bool{true, false} {
			text := "[ipsec]\npsk = '" + goodPSK + "'\n[network]\ndevice = '" + device + "'\n[[user]]\nname = 'a'\npassword = 'p'\n"
			if own {
				text += "interface = true\n"
			}
			_, err := load(t, text)
			if want := ok || !own; (err == nil) != want {
				t.Errorf("%s, own devices %v: %v", device, own, err)
			}
		}
	}
}
