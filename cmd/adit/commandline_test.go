package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
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
		{"check adit.toml", `check takes no arguments, but got "adit.toml"`},
		{"reload now", `reload takes no arguments`},
		{"serve adit.toml", `adit serve -h shows its flags`},
		{"version -x", `flag provided but not defined: -x`},
		{"user foo", `user takes add, del, passwd or list, not "foo"`},
		{"user add", `user add takes one name`},
		{"user list alice", `user list takes no name`},
		{"user passwd alice -address 10.83.0.9", `-address goes with user add only`},
		{"user add alice -address fe80::1 -state " + dir, `"fe80::1" is not an IPv4 address`},
		{"disconnect alice bob", `disconnect takes one user`},
	} {
		if code, _, got := typed("p\n", strings.Fields(tc.args)...); code != exitUsage || !strings.Contains(got, tc.want) {
			t.Errorf("adit %s: exit code %d, %q, want %d and %q", tc.args, code, got, exitUsage, tc.want)
		}
	}
}

func TestVersionAndHelpInTheirUsualForms(t *testing.T) {
	for _, args := range []string{"version", "--version", "-version"} {
		if code, out, _ := typed("", args); code != exitOK || !strings.HasPrefix(out, "adit ") {
			t.Errorf("adit %s: exit code %d, %q", args, code, out)
		}
	}
	for _, args := range []string{"disconnect -h", "help disconnect"} {
		if code, _, got := typed("", strings.Fields(args)...); code != exitOK || !strings.HasPrefix(got, "Usage: adit disconnect") {
			t.Errorf("adit %s: exit code %d, %q", args, code, got)
		}
	}
}

func TestUsersOfTheFileAreMaintained(t *testing.T) {
	state := t.TempDir()
	for _, step := range []struct {
		args, in string
		code     int
		out, err string
	}{
		{"list", "", exitOK, "", "no users in "},
		{"add alice", "p\n", exitOK, "", ""},
		{"add alice", "p\n", exitRuntime, "", "is there already"},
		{"add -address 10.83.0.10 -group staff bob", "p\n", exitOK, "", ""},
		{"list", "", exitOK, "alice\t\nbob\t10.83.0.10\tstaff\n", ""},
		{"passwd carol", "p\n", exitRuntime, "", `no user "carol" in ` + state},
		{"passwd bob", "\n", exitRuntime, "", "nothing was changed"},
		{"del alice", "", exitOK, "", ""},
		{"list", "", exitOK, "bob\t10.83.0.10\tstaff\n", ""},
		{"passwd bob -group x", "p\n", exitUsage, "", "-group goes with user add only"},
	} {
		args := append([]string{"user"}, strings.Fields(step.args)...)
		code, out, err := typed(step.in, append(args, "-state", state)...)
		if code != step.code || out != step.out || !strings.Contains(err, step.err) || step.err == "" && err != "" {
			t.Errorf("adit user %s: exit code %d, %q, %q", step.args, code, out, err)
		}
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
