package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
)

// Every verb that changes groups makes the running server apply the change, and the file has
// what was said.
func TestChangesOfGroupsAreLiveAtOnce(t *testing.T) {
	state := t.TempDir()
	socket := filepath.Join(state, "adit.sock")
	t.Setenv("ADIT_ADMIN_SOCKET", socket)
	server := &running{report: admin.Reloaded{New: []string{"group"}}}
	if _, err := admin.Listen(socket, server); err != nil {
		t.Fatal(err)
	}
	for i, args := range [][]string{
		{"add", "staff", "-upload", "10M", "-quota-month", "50 GB", "-routes", "10.0.0.0/8"},
		{"set", "staff", "-download", "50M", "-hours", "Mo-Fr 07:00-19:00,Sa", "-session-timeout", "8h", "-sessions", "2"},
		{"set", "staff", "-upload", ""},
		{"add", "guests", "-idle-timeout", "10m"},
		{"del", "guests"},
	} {
		code, out, errText := typed("", append(append([]string{"group"}, args...), "-state", state)...)
		if code != exitOK || !strings.Contains(out, "The server has taken it over.") || server.asked != i+1 {
			t.Errorf("adit group %v: exit code %d, %q, %q; the server was asked %d times", args, code, out, errText, server.asked)
		}
	}
	l, err := conf.ReadLocal(filepath.Join(state, conf.UsersFile))
	if err != nil || len(l.Groups) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if g := l.Groups[0]; g.Upload != 0 || g.Download != 50e6 || g.QuotaMonth != 50e9 || len(g.Hours) != 2 || g.SessionTimeout.Hours() != 8 || g.Sessions != 2 || len(g.Routes) != 1 {
		t.Errorf("%+v", g)
	}
	code, out, _ := typed("", "group", "list", "--json", "-state", state)
	var list []listedGroup
	if err := json.Unmarshal([]byte(out), &list); code != exitOK || err != nil || len(list) != 1 || list[0].Has["download"] != "50 Mbit/s" || list[0].Has["session_timeout"] != "8h0m0s" {
		t.Errorf("list: %s, %v", out, err)
	}
	if code, out, _ := typed("", "group", "list", "-state", state); code != exitOK || !strings.Contains(out, "download 50 Mbit/s") {
		t.Errorf("list: %s", out)
	}
}

// A user may be of a group that stands beside it, and the configuration has both.
func TestGroupsOfTheStateDirectoryAreTheServers(t *testing.T) {
	state := t.TempDir()
	file := filepath.Join(state, "adit.toml")
	text := "[server]\nstate_dir = \"" + state + "\"\n[ipsec]\npsk = \"correct horse battery staple\"\n[[filter]]\nname = \"web\"\nrules = [\"permit in tcp from any to any 80\"]\n[[group]]\nname = \"fixed\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args []string
		want string // "": it works
	}{
		{[]string{"group", "add", "staff", "-filter", "web"}, ""},
		{[]string{"group", "add", "staff"}, `the group "staff" is there already`},
		{[]string{"group", "add", "fixed"}, `the group "fixed" is there already`},
		{[]string{"group", "set", "fixed", "-upload", "1M"}, "change it there, then adit reload"},
		{[]string{"group", "set", "nobody", "-upload", "1M"}, `there is no group "nobody"`},
		{[]string{"group", "set", "staff", "-upload", "1 MB"}, `upload: "1 MB" is not a rate`},
		{[]string{"group", "set", "staff", "-filter", "wob"}, `there is no [[filter]] with the name "wob"`},
		{[]string{"group", "set", "staff"}, "there is none"},
		{[]string{"user", "add", "alice", "-group", "staff", "-upload", "2M", "-quota-day", "1GB"}, ""},
		{[]string{"user", "add", "bob", "-group", "stuff"}, `there is no [[group]] "stuff"`},
		{[]string{"user", "set", "alice", "-pool", "desks"}, `there is no [[pool]] with the name "desks"`},
		{[]string{"group", "del", "staff"}, `the user "alice" is of the group "staff"`},
	} {
		code, _, errText := typed("p\n", append(x.args, "-c", file)...)
		if (code == exitOK) != (x.want == "") || !strings.Contains(errText, x.want) {
			t.Errorf("adit %v: exit code %d, %q, want %q", x.args, code, errText, x.want)
		}
	}
	if code, out, _ := typed("", "user", "list", "--json", "-c", file); code != exitOK || !strings.Contains(out, `"upload": "2 Mbit/s"`) {
		t.Errorf("user list: %s", out)
	}
	c, err := conf.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Groups) != 2 || c.Groups[1].Filter != "web" || len(c.Users) != 1 || c.Users[0].Upload != 2e6 || c.Users[0].QuotaDay != 1e9 {
		t.Errorf("%+v, %+v", c.Groups, c.Users)
	}
	users := filepath.Join(state, conf.UsersFile)
	b, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(b), `filter = "web"`, `filter = "wob"`, 1)
	if err := os.WriteFile(users, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := conf.Load(file, nil); err == nil || !strings.Contains(err.Error(), "users.toml:5: group[0].filter: there is no [[filter]]") {
		t.Errorf("%v in\n%s", err, wrong)
	}
}
