package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/app"
)

// hostile are strings that peers, RADIUS servers and certificates may send: each would
// have a terminal do something, or show something that is not there.
func hostile() map[string]string {
	all := map[string]string{
		"clears the screen": "\x1b[2J\x1b[Hroot", "begins a line": "x\nok  everything is fine", "goes back": "mallory\r  alice",
		"C1 control": "\u009b31mred", "DEL": "a\x7fb", "tab": "a\tb", "NUL": "a\x00b", "not UTF-8": "a\xff\xc3(b", "line separator": "a\u2028b\u2029c",
		"no-break space": "alice\u00a0", "zero width": "al\u200bi\u200dce\ufeff", "soft hyphen": "al\u00adice", "tags": "alice\U000e0041\U000e0042",
		"private use": "\ue000", "long": strings.Repeat("long ", 1000), "long and wide": strings.Repeat("漢", 400),
	}
	for _, r := range "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c" {
		all["direction "+string([]byte("0123456789abcdef")[r>>4&15])+string([]byte("0123456789abcdef")[r&15])] = "ecila" + string(r) + "txt.exe"
	}
	return all
}

// wantHarmless checks that only the line ends of the command itself are in its output.
func wantHarmless(t *testing.T, out string, lines, width int) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%q is not UTF-8", out)
	}
	for _, r := range out {
		if r != '\n' && (r < ' ' || r >= 0x7f && r <= 0xa0 || r == 0xad || r == 0x61c || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e ||
			r >= 0x2060 && r <= 0x206f || r == 0xfeff || r >= 0xe000 && r <= 0xf8ff || r >= 0xe0000) {
			t.Errorf("the output has %U: %q", r, out)
		}
	}
	if n := strings.Count(out, "\n"); lines > 0 && n != lines {
		t.Errorf("%d lines, want %d: %q", n, lines, out)
	}
	for line := range strings.SplitSeq(out, "\n") {
		if n := utf8.RuneCountInString(line); width > 0 && n > width {
			t.Errorf("a line has %d characters, want at most %d: %q", n, width, line)
		}
	}
}

// Whatever strings others choose, no command that shows them lets them do anything to a
// terminal, or deceive its reader; a table stays a table.
func TestNothingThatIsShownActsOnATerminal(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	session := func(s string) admin.Session {
		return admin.Session{User: s, HostName: s, Client: s, Group: s, PSK: s, Cert: s, Method: s, IKE: s, ESP: s, Address: "10.83.0.2", Remote: "192.0.2.1:500", Since: now}
	}
	for name, s := range hostile() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			st := admin.Status{Sessions: []admin.Session{session(s), session("bob")}, Since: now}
			if err := printStatus(&out, st, false); err != nil {
				t.Fatal(err)
			}
			wantHarmless(t, out.String(), 4, 320)

			out.Reset()
			if err := printStatus(&out, st, true); err != nil {
				t.Fatal(err)
			}
			wantHarmless(t, out.String(), 0, 0)
			var read admin.Status
			if err := json.Unmarshal(out.Bytes(), &read); err != nil || utf8.ValidString(s) && read.Sessions[0].User != s && read.Sessions[1].User != s {
				t.Errorf("JSON says another user: %v, %q", err, out.String())
			}

			out.Reset()
			if err := printStatus(&out, admin.Status{Warnings: []string{strings.ReplaceAll(s, "\n", " ")}, Since: now}, false); err != nil {
				t.Fatal(err)
			}
			wantHarmless(t, out.String(), 3, 0)

			out.Reset()
			app.WriteError(&out, "adit: "+s)
			wantHarmless(t, out.String(), 1+strings.Count(s, "\n"), 0)
		})
	}
}

// What stands in files of users is shown as harmlessly: others may have written them.
func TestListsOfUsersAreHarmless(t *testing.T) {
	for name, s := range hostile() {
		if !utf8.ValidString(s) || len(s) > 256 {
			continue // no user can be called so
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			quoted, err := json.Marshal(s) // a TOML string, too, but for DEL
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(quoted), "\x7f", `\u007f`)
			file := filepath.Join(dir, "adit.toml")
			config := "server.state_dir = \"" + dir + "\"\n[ipsec]\npsk = \"a key of some length, for clients\"\n[[user]]\nname = " + text + "\npassword = \"a password\"\ngroup = " + text + "\n[[group]]\nname = " + text + "\n"
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"user", "list", "-c", file}, {"user", "list", "-c", file, "--json"}, {"clients", "-c", file}, {"clients", "-c", file, s}, {"clients", "-c", file, "x" + s}, {"disconnect", "-socket", filepath.Join(dir, "none"), s}} {
				_, out, errText := typed("", args...)
				if out+errText == "" {
					t.Errorf("%v says nothing", args)
				}
				if args[len(args)-1] == file && args[1] == "list" {
					if n := strings.Count(out, "\t"); n != 3 {
						t.Errorf("%d tabs, want three between four columns: %q", n, out)
					}
					out = strings.ReplaceAll(out, "\t", " ")
				}
				wantHarmless(t, out, 0, 0)
				wantHarmless(t, errText, 0, 0)
			}
		})
	}
}
