package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/admin"
)

// typed runs a command line, with what is typed on standard input.
func typed(in string, args ...string) (code int, out, err string) {
	var o, e bytes.Buffer
	code = run(context.Background(), streams{strings.NewReader(in), &o, &e}, args)
	return code, o.String(), e.String()
}

func TestWrongCommandLinesSayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		args string
		want string
	}{
		{"frobnicate", `unknown command "frobnicate": adit help lists them`},
		{"status extra", `status takes no arguments, but got "extra"`},
		{"check adit.toml", `check takes no arguments, but got "adit.toml": is it a file, as in -c adit.toml?`},
		{"reload now", `reload takes no arguments`},
		{"serve adit.toml", `adit serve -h shows its flags`},
		{"version -x", `flag provided but not defined: -x: adit version -h shows the flags`},
		{"user foo", `user takes add, set, passwd, totp, del or list, not "foo"`},
		{"user add", `user add takes one name`},
		{"user list alice", `user list takes no name`},
		{"user passwd alice -address 10.83.0.9", `flag provided but not defined: -address`},
		{"user add alice -address fe80::1 -state " + dir, `"fe80::1" is not an IPv4 address`},
		{"user set alice -state " + dir, `user set changes what its flags name`},
		{"user set alice -generate", `flag provided but not defined: -generate`},
		{"user add alice -dns example.com -state " + dir, `"example.com" is not an IP address`},
		{"user add alice -routes 192.168.1.7/24 -state " + dir, `write 192.168.1.0/24`},
		{"user add alice -prefix6 2001:db8:1::/64 -state " + dir, `does nothing without network.pool6`},
		{"clients alice bob", `clients takes one user`},
		{"cert revoke", `cert revoke takes one name`},
		{"cert ca extra", `cert ca takes no name, but got "extra"`},
		{"disconnect alice bob", `disconnect takes one user`},
		{"link foo", `link takes list, up, down or explain, not "foo"`},
		{"link list branch", `link list takes no name, but got "branch"`},
		{"link up", `link up takes one name`},
		{"link down a b", `link down takes one name`},
		{"link explain", `link explain takes one name`},
	} {
		code, _, got := typed("p\n", strings.Fields(tc.args)...)
		if code != exitUsage || !strings.Contains(got, tc.want) {
			t.Errorf("adit %s: exit code %d, %q, want %d and %q", tc.args, code, got, exitUsage, tc.want)
		}
		if n := strings.Count(got, "\n"); n != 1 {
			t.Errorf("adit %s: the error is one of %d lines: %q", tc.args, n, got)
		}
	}
}

func TestVersionAndHelpInTheirUsualForms(t *testing.T) {
	for _, args := range []string{"version", "--version", "-version"} {
		if code, out, _ := typed("", args); code != exitOK || !strings.HasPrefix(out, "adit ") {
			t.Errorf("adit %s: exit code %d, %q", args, code, out)
		}
	}
	for args, want := range map[string]string{
		"disconnect -h": "disconnect", "help disconnect": "disconnect", "help user add": "user add", "user add --help": "user add", "cert client -h": "cert client",
		"user -h": "user VERB", "user help": "user VERB", "help cert": "cert VERB",
	} {
		if code, _, got := typed("", strings.Fields(args)...); code != exitOK || !strings.HasPrefix(got, "Usage: adit "+want) {
			t.Errorf("adit %s: exit code %d, %q", args, code, got)
		}
	}
}

// The help of a verb has that verb's flags, all of them and no others.
func TestHelpOfAVerbIsThatVerbs(t *testing.T) {
	const user = "c generate socket state"
	const settings = "address address6 c certificate delegated6 dns domain download filter"
	const more = "pool prefix6 quota-day quota-filter quota-month routes session-timeout sessions socket state upload"
	const group = "c dns domain download filter hours idle-timeout pool quota-day quota-filter quota-month routes session-timeout sessions socket state upload"
	for args, want := range map[string]string{
		"user add":    settings + " generate group hours idle-timeout interface must-change " + more,
		"user set":    settings + " group hours idle-timeout interface must-change " + more,
		"group add":   group,
		"group set":   group,
		"group del":   "c socket state",
		"group list":  "c json state",
		"user passwd": user,
		"user del":    "c socket state",
		"user list":   "c json state",
		"cert ca":     "c name state",
		"cert server": "c ecdsa state",
		"cert client": "c ecdsa group o server split state user",
		"cert revoke": "c socket state",
		"cert list":   "c json state",
	} {
		code, _, got := typed("", append(strings.Fields(args), "-h")...)
		var flags []string
		for _, m := range regexp.MustCompile(`(?m)^  -([a-z0-9-]+)`).FindAllStringSubmatch(got, -1) {
			flags = append(flags, m[1])
		}
		if code != exitOK || strings.Join(flags, " ") != want {
			t.Errorf("adit %s -h: exit code %d, flags %q, want %q", args, code, flags, want)
		}
	}
}

// TestMain runs the command that ADIT_TEST_COMMAND has in place of the tests: in
// a process of its own, for what is decided once in a process.
func TestMain(m *testing.M) {
	if line := os.Getenv("ADIT_TEST_COMMAND"); line != "" {
		os.Exit(process(strings.Fields(line)))
	}
	os.Exit(m.Run())
}

func TestKernelsThatThereAreNot(t *testing.T) {
	config := filepath.Join(t.TempDir(), "adit.toml")
	if err := os.WriteFile(config, []byte("[ipsec]\npsk = \"a-key-of-some-length\"\n[[user]]\nname = \"alice\"\npassword = \"p\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve", "check"} {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "ADIT_TEST_COMMAND="+command+" -c "+config, "ADIT_CPU=fast")
		out, err := c.CombinedOutput()
		want := `adit: ADIT_CPU: "fast" is none of generic, aesni and avx512: leave ADIT_CPU unset`
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), want) {
			t.Errorf("adit %s: %v, %s, want exit code %d and %q", command, err, out, exitUsage, want)
		}
	}
}

func TestUsersOfTheFileAreMaintained(t *testing.T) {
	state := t.TempDir()
	t.Setenv("ADIT_ADMIN_SOCKET", state+"/adit.sock")
	for _, step := range []struct {
		args, in string
		code     int
		out, err string
	}{
		{"list", "", exitOK, "", "no users in "},
		{"add alice", "p\n", exitOK, "Added alice to " + state + "/users.toml. No server answers on " + state + "/adit.sock", ""},
		{"add alice", "p\n", exitRuntime, "", "is there already"},
		{"add -address 10.83.0.10 -group staff bob", "p\n", exitOK, "Added bob", ""},
		{"list", "", exitOK, "alice\t\nbob\t10.83.0.10\tstaff\n", ""},
		{"passwd carol", "p\n", exitRuntime, "", `no user "carol" in ` + state},
		{"passwd bob", "\n", exitRuntime, "", "nothing was changed"},
		{"del alice", "", exitOK, "adit disconnect alice", ""},
		{"list", "", exitOK, "bob\t10.83.0.10\tstaff\n", ""},
		{"passwd bob -group x", "p\n", exitUsage, "", "flag provided but not defined: -group"},
	} {
		args := append([]string{"user"}, strings.Fields(step.args)...)
		code, out, err := typed(step.in, append(args, "-state", state)...)
		if code != step.code || !strings.Contains(out, step.out) || step.out == "" && out != "" || !strings.Contains(err, step.err) || step.err == "" && err != "" {
			t.Errorf("adit user %s: exit code %d, %q, %q", step.args, code, out, err)
		}
	}
}

// The server does not read a users.toml that contradicts its configuration.
func TestUsersThatTheConfigurationContradictsAreRefused(t *testing.T) {
	dir := t.TempDir()
	state, file := filepath.Join(dir, "state"), filepath.Join(dir, "adit.toml")
	text := fmt.Sprintf(`
server.state_dir = %q
mtu = "wrong, which is none of adit user's business"
[[group]]
name = "staff"
[[user]]
name = "vpn"
password = "p"
`, state)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args string
		code int
		want string
	}{
		{"add vpn", exitRuntime, `user "vpn" is in ` + file},
		{"passwd vpn", exitRuntime, `user "vpn" is in ` + file + " or the environment: change it there"},
		{"add -group stuff alice", exitRuntime, `no [[group]] "stuff" in ` + file + `: there are "staff"`},
		{"add -group staff alice", exitOK, "Added alice to " + state + "/users.toml"},
		{"list", exitOK, "alice\t\tstaff\nvpn\t\t\tin " + file},
	} {
		args := append([]string{"user"}, strings.Fields(step.args)...)
		code, out, err := typed("p\n", append(args, "-c", file)...)
		if code != step.code || !strings.Contains(out+err, step.want) {
			t.Errorf("adit user %s: exit code %d, %q, %q", step.args, code, out, err)
		}
	}
}

// A configuration that adit up wrote elsewhere is found by the directory.
func TestUsersBesideAConfigurationOfUp(t *testing.T) {
	state := t.TempDir()
	if made, err := firstConfig(state+"/adit.toml", state, "", "vpn"); err != nil || !made {
		t.Fatal(made, err)
	}
	if code, out, err := typed("p\n", "user", "add", "-state", state, "vpn"); code != exitRuntime || !strings.Contains(err, `user "vpn" is in `+state+"/adit.toml") {
		t.Errorf("exit code %d, %q, %q", code, out, err)
	}
}

func TestStatusShowsIPv6(t *testing.T) {
	var out bytes.Buffer
	if err := printStatus(&out, admin.Status{Sessions: []admin.Session{
		{User: "alice", Address: "10.83.0.2", IPv6: []string{"2001:db8:1:1::/64", "2001:db8:f000::/56"}},
	}}, false); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"USER ADDRESS IPV6 FROM", "alice 10.83.0.2 2001:db8:1:1::/64,2001:db8:f000::/56 ", " 1 session;"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestStatusShowsGroupAndRates(t *testing.T) {
	var out bytes.Buffer
	if err := printStatus(&out, admin.Status{Sessions: []admin.Session{
		{User: "alice", Method: "PAP", UserGroup: "staff", Upload: 10e6, Download: 1.5e9}, {User: "bob", Method: "PAP", Upload: 64e3}, {User: "carol", Method: "PAP", UserGroup: "guests"},
	}}, false); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"AUTH GROUP RATES UP", "PAP staff 10M/1.5G ", "PAP - 64k/- ", "PAP guests - "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestStatusShowsCompression(t *testing.T) {
	var out bytes.Buffer
	if err := printStatus(&out, admin.Status{Sessions: []admin.Session{
		{User: "alice", ESP: "AES", Method: "PAP", Compression: "mppc"}, {User: "bob", ESP: "AES", Method: "PAP"},
	}}, false); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"AES (mppc) PAP", "AES PAP"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

// adit up leaves nothing in a state directory that it refuses.
func TestUpLeavesNothingWhereItIsRefused(t *testing.T) {
	state := t.TempDir()
	if err := os.Chmod(state, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{state: "chmod go-w", file: "not a directory", file + "/state": "not a directory"} {
		if code, out, err := typed("", "up", "-state", dir); code == exitOK || out != "" || !strings.Contains(err, want) {
			t.Errorf("%s: exit code %d, %q, %q", dir, code, out, err)
		}
	}
	if left, err := os.ReadDir(state); err != nil || len(left) > 0 {
		t.Errorf("there is %v (%v)", left, err)
	}
}

func TestUpNamesNoSecondFirstUser(t *testing.T) {
	state := t.TempDir()
	if made, err := firstConfig(state+"/adit.toml", state, "", "vpn"); err != nil || !made {
		t.Fatal(made, err)
	}
	code, out, err := typed("", "up", "-state", state, "-user", "alice")
	if code != exitUsage || out != "" || !strings.Contains(err, "adit user add makes further ones") {
		t.Errorf("exit code %d, %q, %q", code, out, err)
	}
}
