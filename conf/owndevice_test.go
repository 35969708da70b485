package conf

import (
	"fmt"
	"strings"
	"testing"
)

// A device's name fits, tells users apart, and is the same each time, however the user
// types letters.
func TestNamesOfUsersDevices(t *testing.T) {
	for _, v := range []struct {
		user string
		n    int
		want string
	}{
		{"alice", 1, "adit0-alice"},
		{"ALICE", 1, "adit0-alice"},
		{"alice", 2, "adit0-alice.2"},
		{"Alice", 100, "adit0-alice.100"},
		{"bob-the_9", 1, "adit0-bob-the_9"},
		{"bob-the_99", 1, "adit0-bo"},
		{"anna@corp.example", 1, "adit0-an"},
		{"Zoë", 1, "adit0-zo"},
		{"../../x", 1, "adit0-x"},
		{"ユーザー", 1, "adit0-"},
	} {
		got := OwnDevice("adit0-", v.user, v.n)
		if len(got) > 15 || !strings.HasPrefix(got, v.want) {
			t.Errorf("%q, session %d: %q, want %q", v.user, v.n, got, v.want)
		}
		if again := OwnDevice("adit0-", strings.ToUpper(v.user), v.n); again != got {
			t.Errorf("%q has the names %q and %q", v.user, got, again)
		}
	}
	seen := map[string]string{}
	users := []string{"anna@corp.example", "annac@orp.example", "Zoë", "Zo", "ユーザー", "", "alice", "alice.2", "a very long name of a user", "a very long name of another"}
	for i := range 2000 {
		users = append(users, fmt.Sprintf("employee%d@corp.example", i))
	}
	for _, prefix := range []string{"adit0-", "adit00-", "a-"} {
		clear(seen)
		for _, user := range users {
			name := OwnDevice(prefix, user, 1)
			if other, ok := seen[name]; ok {
				t.Errorf("%q and %q have one name: %q", user, other, name)
			}
			seen[name] = user
		}
	}
	for n := range 1000 {
		if name := OwnDevice("adit00-", "anna@corp.example", n); len(name) > 15 {
			t.Errorf("%q", name)
		}
	}
}

// Users whose devices would have one name are refused.
func TestUsersWithOneDeviceAreRefused(t *testing.T) {
	const file = "[ipsec]\npsk = \"correct horse battery\"\n[[group]]\nname = \"g\"\ninterface = true\n"
	user := func(name, more string) string {
		return fmt.Sprintf("[[user]]\nname = %q\npassword = \"p\"\n%s\n", name, more)
	}
	for _, v := range []struct {
		users string
		wrong bool
	}{
		{user("alice", "interface = true") + user("Alice", `group = "g"`), true},
		{user("alice", "interface = true") + user("Alice", ""), false},
		{user("alice", "interface = true") + user("alicf", "interface = true"), false},
	} {
		_, err := load(t, file+v.users)
		if (err != nil) != v.wrong || v.wrong && (!strings.Contains(err.Error(), `"alice"`) || !strings.Contains(err.Error(), "adit0-alice")) {
			t.Errorf("%s: %v", v.users, err)
		}
	}
}
