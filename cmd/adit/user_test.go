package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
)

// running is a server that reads its configuration again when it is asked.
type running struct {
	asked    int
	report   admin.Reloaded
	err      error
	sessions int // alice's
}

func (r *running) Status() admin.Status { return admin.Status{} }
func (r *running) Disconnect(s admin.Selector) int {
	return map[bool]int{true: r.sessions}[s.All || s.User == "alice"]
}
func (r *running) Links() []admin.Link             { return nil }
func (r *running) OrderLink(admin.LinkOrder) error { return nil }
func (r *running) Reload() (admin.Reloaded, error) { r.asked++; return r.report, r.err }

// Every verb that changes users makes the running server apply the change, and says how
// that went.
func TestChangesOfUsersAreLiveAtOnce(t *testing.T) {
	state := t.TempDir()
	socket := filepath.Join(state, "adit.sock")
	t.Setenv("ADIT_ADMIN_SOCKET", socket)
	server := &running{report: admin.Reloaded{Live: []string{"user"}}}
	control, err := admin.Listen(socket, server)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range []string{"add alice", "set alice -group staff", "passwd alice", "del alice"} {
		code, out, errText := typed("p\n", append(append([]string{"user"}, strings.Fields(line)...), "-state", state)...)
		if code != exitOK || !strings.Contains(out, "The server has taken it over.") || server.asked != i+1 {
			t.Errorf("adit user %s: exit code %d, %q, %q; the server was asked %d times", line, code, out, errText, server.asked)
		}
	}
	for _, line := range []string{"ca", "server vpn.example.com", "client laptop -o " + state} {
		if code, _, err := typed("", append(append([]string{"cert"}, strings.Fields(line)...), "-state", state)...); code != exitOK {
			t.Fatal(err)
		}
	}
	server.report = admin.Reloaded{Live: []string{"ipsec.crl (the file)"}}
	if code, out, err := typed("", "cert", "revoke", "laptop", "-state", state); code != exitOK || !strings.Contains(out, "The server has taken it over.") {
		t.Errorf("adit cert revoke: exit code %d, %q, %q", code, out, err)
	}
	for _, tc := range []struct {
		report admin.Reloaded
		err    error
		want   string
	}{
		{admin.Reloaded{Live: []string{"user", "log.level"}, New: []string{"network.dns"}}, nil, "changed, too: log.level, network.dns."},
		{admin.Reloaded{}, nil, "or reads other files"},
		{admin.Reloaded{}, errors.New("adit.toml:3: ipsec.psk: missing"), "did not take it over:\nadit.toml:3: ipsec.psk: missing"},
	} {
		server.report, server.err = tc.report, tc.err
		if code, out, _ := typed("p\n", "user", "add", "bob", "-state", state); code != exitOK || !strings.Contains(out, tc.want) {
			t.Errorf("exit code %d, %q, want %q", code, out, tc.want)
		}
		if code, _, err := typed("", "user", "del", "bob", "-state", state); code != exitOK {
			t.Error(err)
		}
	}
	// Commands that name no socket find the configuration's, too.
	server.sessions = 1
	for _, line := range []string{"status", "reload", "disconnect --all", "disconnect alice"} {
		server.err = nil
		if code, _, err := typed("", strings.Fields(line)...); code != exitOK {
			t.Errorf("adit %s: exit code %d, %q", line, code, err)
		}
	}
	server.sessions = 0
	for line, want := range map[string]string{"disconnect --all": "nobody is connected", "disconnect alice": `no session of user "alice"`, "disconnect 10.83.0.9": "10.83.0.9", "disconnect -connection 7": "no connection 7"} {
		if code, out, err := typed("", strings.Fields(line)...); code != exitRuntime || out != "" || !strings.Contains(err, want) {
			t.Errorf("adit %s of nobody: exit code %d, %q, %q", line, code, out, err)
		}
	}
	before := server.asked
	if code, _, _ := typed("", "user", "del", "nobody", "-state", state); code != exitRuntime || server.asked != before {
		t.Errorf("a change that failed: exit code %d, and the server was asked %d times more", code, server.asked-before)
	}
	if err := control.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := typed("p\n", "user", "add", "carol", "-state", state); code != exitOK || !strings.Contains(out, "No server answers on "+socket) {
		t.Errorf("without a server: exit code %d, %q", code, out)
	}
}

// hunter2 is the NT hash of that password.
const hunter2 = "\x66\x08\xe4\xbc\x7b\x2b\x7a\x5f\x77\xce\x35\x73\x57\x07\x75\xaf"

// A password is kept as its NT hash where no method needs more, and as it is
// where one does, or where that is not known.
func TestPasswordsAreKeptAsHashes(t *testing.T) {
	for methods, hashed := range map[string]bool{
		"": true, `methods = ["mschapv2"]`: true, `methods = ["mschapv2", "chap"]`: false, `methods = ["pap"]`: false, "unknown": false,
	} {
		dir := t.TempDir()
		file, users := filepath.Join(dir, "adit.toml"), filepath.Join(dir, conf.UsersFile)
		where := []string{"-c", file}
		if methods == "unknown" {
			where = []string{"-state", dir}
			if err := os.WriteFile(file, []byte("this is not a configuration"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(file, []byte("[server]\nstate_dir = \""+dir+"\"\n[auth]\n"+methods+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"add", "passwd"} {
			code, out, errText := typed("hunter2\n", append([]string{"user", verb, "alice"}, where...)...)
			if code != exitOK || strings.Contains(out, "NT hash") != hashed {
				t.Errorf("%s, user %s: exit code %d, %q, %q", methods, verb, code, out, errText)
			}
			got, err := conf.ReadUsers(users)
			if err != nil || len(got) != 1 {
				t.Fatalf("%s: %v, %v", methods, got, err)
			}
			want, other := got[0].Password, got[0].NTHash.Bytes
			text := "hunter2"
			if hashed {
				want, other, text = other, want, hunter2
			}
			if string(want.Reveal()) != text || other.Len() > 0 {
				t.Errorf("%s, user %s: kept %q and %q", methods, verb, got[0].Password.Reveal(), got[0].NTHash.Reveal())
			}
		}
		// A generated password that is not shown is readable in the file.
		if code, out, errText := typed("", append([]string{"user", "add", "-generate", "bob"}, where...)...); code != exitOK || !strings.Contains(out, users) {
			t.Errorf("%s: exit code %d, %q, %q", methods, code, out, errText)
		}
		if got, err := conf.ReadUsers(users); err != nil || len(got) != 2 || got[1].Password.Len() == 0 {
			t.Errorf("%s: a generated password is kept as %v, %v", methods, got, err)
		}
	}
}

// What adit user set names changes, and nothing else; an empty value takes it
// away.
func TestSetChangesWhatItNames(t *testing.T) {
	dir := t.TempDir()
	file, users := filepath.Join(dir, "adit.toml"), filepath.Join(dir, conf.UsersFile)
	text := "[server]\nstate_dir = \"" + dir + "\"\n[admin]\nsocket = \"" + dir + "/adit.sock\"\n[network]\npool6 = [\"2001:db8::/48\"]\n[[group]]\nname = \"staff\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, err := typed("hunter2\n", "user", "add", "alice", "-c", file, "-address", "10.83.0.9"); code != exitOK {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args []string
		want conf.User
		err  string
	}{
		{[]string{"-group", "staff"}, conf.User{Address: netip.MustParseAddr("10.83.0.9"), Group: "staff"}, ""},
		{[]string{"-address", "10.83.0.10", "-domain", "corp.example"}, conf.User{Address: netip.MustParseAddr("10.83.0.10"), Group: "staff", Domain: "corp.example"}, ""},
		{[]string{"-dns", "192.0.2.1, 192.0.2.2", "-routes", "192.168.1.0/24"}, conf.User{Address: netip.MustParseAddr("10.83.0.10"), Group: "staff", Domain: "corp.example", DNS: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, Routes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}}, ""},
		{[]string{"-domain", "", "-dns", "", "-routes", "none"}, conf.User{Address: netip.MustParseAddr("10.83.0.10"), Group: "staff", Routes: []netip.Prefix{}}, ""},
		{[]string{"-routes="}, conf.User{Address: netip.MustParseAddr("10.83.0.10"), Group: "staff"}, ""},
		{[]string{"-prefix6", "2001:db8:1:7::/64", "-delegated6", "2001:db8:2::/56"}, conf.User{Address: netip.MustParseAddr("10.83.0.10"), Group: "staff", Prefix6: netip.MustParsePrefix("2001:db8:1:7::/64"), Delegated6: netip.MustParsePrefix("2001:db8:2::/56")}, ""},
		{[]string{"-prefix6", "", "-delegated6", "", "-address6", "2001:db8:7::9"}, conf.User{Address: netip.MustParseAddr("10.83.0.10"), Group: "staff", Address6: netip.MustParseAddr("2001:db8:7::9")}, ""},
		{[]string{"-address6", "", "-address", ""}, conf.User{Group: "staff"}, ""},
		{[]string{"-address", "10.83.0.1"}, conf.User{Group: "staff"}, "the server's own"},
		{[]string{"-address", "10.83.255.255"}, conf.User{Group: "staff"}, "the address of all of the network 10.83.0.0/16"},
		{[]string{"-address", "10.83.0"}, conf.User{Group: "staff"}, `address: "10.83.0" is not an IPv4 address`},
		{[]string{"-address6", "fe80::1"}, conf.User{Group: "staff"}, "not an IPv6 address"},
		{[]string{"-delegated6", "2001:db8:0:100::/56"}, conf.User{Group: "staff"}, "gives to others"},
		{[]string{"-dns", "9.9.9.9,example.com", "-routes", "192.168.1.7/24"}, conf.User{Group: "staff"}, "write 192.168.1.0/24"},
		{[]string{"-group", "stuff"}, conf.User{Group: "staff"}, "no [[group]] \"stuff\""},
		{[]string{"-group", ""}, conf.User{}, ""},
	} {
		code, _, errText := typed("", append([]string{"user", "set", "alice", "-c", file}, step.args...)...)
		if (code == exitOK) != (step.err == "") || !strings.Contains(errText, step.err) {
			t.Errorf("adit user set alice %q: exit code %d, %q", step.args, code, errText)
		}
		got, err := conf.ReadUsers(users)
		if err != nil || len(got) != 1 || string(got[0].NTHash.Reveal()) != hunter2 {
			t.Fatalf("adit user set alice %q: %v, %v", step.args, got, err)
		}
		step.want.Name, step.want.NTHash = "alice", got[0].NTHash
		if !reflect.DeepEqual(got[0], step.want) {
			t.Errorf("adit user set alice %q: %+v, want %+v", step.args, got[0], step.want)
		}
	}
	if code, _, errText := typed("", "user", "set", "bob", "-group", "staff", "-c", file); code != exitRuntime || !strings.Contains(errText, `no user "bob"`) {
		t.Errorf("of nobody: exit code %d, %q", code, errText)
	}
}

// A password that was generated can be used, differs each time, and is not printed
// where it is not a terminal.
func TestGeneratedPasswords(t *testing.T) {
	state := t.TempDir()
	t.Setenv("ADIT_ADMIN_SOCKET", state+"/adit.sock")
	seen := map[string]bool{}
	for _, line := range []string{"add -generate alice", "passwd alice -generate", "add bob --generate"} {
		code, out, errText := typed("", append(append([]string{"user"}, strings.Fields(line)...), "-state", state)...)
		if code != exitOK || !strings.Contains(out, "The password is in "+state+"/users.toml") {
			t.Fatalf("adit user %s: exit code %d, %q, %q", line, code, out, errText)
		}
		users, err := conf.ReadUsers(filepath.Join(state, conf.UsersFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			password := string(u.Password.Reveal())
			if !regexp.MustCompile(`^[a-z2-7]{4}(-[a-z2-7]{4}){3}$`).MatchString(password) || strings.Contains(out+errText, password) {
				t.Errorf("adit user %s: %q, printed %q", line, password, out+errText)
			}
			seen[password] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d passwords for three commands", len(seen))
	}
}

// A user's own device is switched on and off, stays where other things change, and is listed.
func TestAUsersOwnDevice(t *testing.T) {
	state := t.TempDir()
	t.Setenv("ADIT_ADMIN_SOCKET", state+"/adit.sock")
	for _, step := range []struct {
		line string
		want bool
	}{
		{"add alice -interface", true}, {"set alice -address 10.83.0.9", true}, {"passwd alice -generate", true}, {"set alice -interface=false", false},
		{"set alice -interface", true}, {"set alice -interface=true -address=", true}, {"add bob", true},
	} {
		if code, _, err := typed("p\n", append([]string{"user"}, strings.Fields(step.line+" -state "+state)...)...); code != exitOK {
			t.Fatalf("adit user %s: %s", step.line, err)
		}
		users, err := conf.ReadUsers(filepath.Join(state, conf.UsersFile))
		if err != nil || users[0].Interface != step.want {
			t.Errorf("after adit user %s: interface = %v, want %v (%v)", step.line, users[0].Interface, step.want, err)
		}
		_, out, _ := typed("", "user", "list", "-state", state)
		_, asJSON, _ := typed("", "user", "list", "-state", state, "--json")
		if line, _, _ := strings.Cut(out, "\n"); strings.HasSuffix(line, "\tinterface") != step.want || strings.Contains(asJSON, `"interface": true`) != step.want {
			t.Errorf("after adit user %s the list is %q, %s", step.line, out, asJSON)
		}
	}
}

// A device that the server could not make is refused when it is asked for.
func TestADeviceThatCannotBeIsRefused(t *testing.T) {
	for name, want := range map[string]string{"ADIT_NETWORK_MODE=tap": `mode = "tun"`, "ADIT_NETWORK_DEVICE=longname": "at most 6 bytes"} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			key, value, _ := strings.Cut(name, "=")
			t.Setenv(key, value)
			if code, _, err := typed("p\n", "user", "add", "alice", "-interface", "-state", state); code != exitUsage || !strings.Contains(err, want) {
				t.Errorf("exit code %d, %q", code, err)
			}
		})
	}
}

// Who has no password to type is told of the flag that makes one.
func TestNoPasswordOnStandardInput(t *testing.T) {
	state := t.TempDir()
	for _, verb := range []string{"add", "passwd"} {
		if verb == "passwd" {
			typed("p\n", "user", "add", "alice", "-state", state)
		}
		for _, in := range []string{"", "\n"} {
			if code, _, err := typed(in, "user", verb, "alice", "-state", state); code != exitRuntime || !strings.Contains(err, "-generate") {
				t.Errorf("adit user %s with %q: exit code %d, %q", verb, in, code, err)
			}
		}
	}
}

// A local user of a server that asks RADIUS does not get in, and the command that adds
// one says so.
func TestAUserBesideRADIUS(t *testing.T) {
	for backend, want := range map[string]string{"radius": "It does nothing as long as auth.backend is \"radius\".\n", "local": "No server answers on "} {
		state := t.TempDir()
		t.Setenv("ADIT_ADMIN_SOCKET", state+"/adit.sock")
		t.Setenv("ADIT_AUTH_BACKEND", backend)
		if code, out, err := typed("p\n", "user", "add", "alice", "-state", state); code != exitOK || err != "" || !strings.Contains(out, state+"/users.toml. "+want) {
			t.Errorf("%s: exit code %d, %q, %q, want %q", backend, code, out, err, want)
		}
	}
}

// An address with which a client gets no answers is named when it is given.
func TestAddressesOfThisHostAreNamed(t *testing.T) {
	state := t.TempDir()
	t.Setenv("ADIT_ADMIN_SOCKET", state+"/adit.sock")
	t.Setenv("ADIT_NETWORK_DEVICE", "other0")
	done := make(chan struct{})
	go func() { // its thread, in a namespace of its own, ends with it
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("a network namespace needs root: %v", err)
			return
		}
		office := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "office0"}}
		address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}}
		if err := errors.Join(netlink.LinkAdd(office), netlink.AddrAdd(office, address), netlink.LinkSetUp(office)); err != nil {
			t.Error(err)
			return
		}
		const refused = "it is this host's own, on office0"
		for _, tc := range []struct{ line, want string }{
			{"add alice -address 192.0.2.9", `Warning: the address 192.0.2.9 of user "alice" is of the network 192.0.2.0/24 on office0`},
			{"set alice -address 10.83.0.9", ""},
			{"set alice -address 192.0.2.1", refused},
			{"add bob -address 192.0.2.1", refused},
			{"add bob -address 203.0.113.9", ""},
		} {
			want := exitOK
			if tc.want == refused {
				want = exitUsage
			}
			code, _, err := typed("p\n", append([]string{"user"}, strings.Fields(tc.line+" -state "+state)...)...)
			if code != want || !strings.Contains(err, tc.want) || tc.want == "" && err != "" {
				t.Errorf("adit user %s: exit code %d, %q, want %d, %q", tc.line, code, err, want, tc.want)
			}
		}
	}()
	<-done
}

// Lists are JSON where that is asked for, an empty one too, and have no secret.
func TestListsAsJSON(t *testing.T) {
	state := t.TempDir()
	t.Setenv("ADIT_ADMIN_SOCKET", state+"/adit.sock")
	list := func(args ...string) (rows []map[string]any, text string) {
		t.Helper()
		code, out, errText := typed("", append(args, "-state", state, "--json")...)
		if err := json.Unmarshal([]byte(out), &rows); code != exitOK || err != nil || rows == nil {
			t.Fatalf("adit %v: exit code %d, %q, %q: %v", args, code, out, errText, err)
		}
		return rows, out
	}
	if rows, _ := list("user", "list"); len(rows) != 0 {
		t.Errorf("%v", rows)
	}
	for _, line := range []string{"user add a&b -address 10.83.0.9 -routes 192.168.1.0/24", "cert ca", "cert server vpn.example.com", "cert client laptop -o " + state, "cert revoke laptop", "cert client phone -o " + state} {
		if code, _, err := typed("hunter2\n", append(strings.Fields(line), "-state", state)...); code != exitOK {
			t.Fatalf("adit %s: %s", line, err)
		}
	}
	t.Setenv("ADIT_USERS", "carol:hunter2")
	rows, text := list("user", "list")
	if len(rows) != 2 || rows[0]["name"] != "a&b" || rows[0]["address"] != "10.83.0.9" || rows[0]["in"] != state+"/users.toml" ||
		!reflect.DeepEqual(rows[0]["routes"], []any{"192.168.1.0/24"}) || rows[1]["name"] != "carol" || rows[1]["in"] != "the environment" {
		t.Errorf("%v", rows)
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, `\u0026`) {
		t.Errorf("%s", text)
	}
	states := map[any]any{}
	rows, _ = list("cert", "list")
	for _, row := range rows {
		states[row["name"]] = row["state"]
	}
	if want := map[any]any{"vpn.example.com": "valid", "laptop": "revoked", "phone": "valid"}; !reflect.DeepEqual(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}
