package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

// A key is made, kept with the password itself, and shown to a terminal alone; it is taken away
// again.
func TestUserTOTP(t *testing.T) {
	state := t.TempDir()
	if code, _, errText := typed("hunter2\n", "user", "add", "alice", "-state", state); code != exitOK {
		t.Fatal(errText)
	}
	if code, _, errText := typed("", "user", "totp", "alice", "-state", state); code == exitOK || !strings.Contains(errText, "to a terminal only") {
		t.Errorf("without a terminal: %d, %q", code, errText)
	}
	window, tty := terminal(t)
	var errOut bytes.Buffer
	if code := run(context.Background(), streams{strings.NewReader("hunter2\n"), tty, &errOut}, []string{"user", "totp", "alice", "-state", state}); code != exitOK {
		t.Fatalf("at a terminal: %d, %s", code, errOut.String())
	}
	shown := make([]byte, 1<<16)
	n, err := window.Read(shown)
	for err == nil && !bytes.Contains(shown[:n], []byte("six digits")) {
		var more int
		more, err = window.Read(shown[n:])
		n += more
	}
	uri := regexp.MustCompile(`otpauth://totp/VPN:alice\?issuer=VPN&secret=([A-Z2-7]{32})`).FindStringSubmatch(string(shown[:n]))
	if uri == nil || strings.Count(string(shown[:n]), "\x1b[0m") < 15 {
		t.Fatalf("it shows\n%s", shown[:n])
	}
	file := filepath.Join(state, conf.UsersFile)
	users, err := conf.ReadUsers(file)
	if err != nil || len(users) != 1 || string(users[0].TOTP.Reveal()) != uri[1] || string(users[0].Password.Reveal()) != "hunter2" || users[0].NTHash.Len() > 0 {
		t.Errorf("the file has %+v, %v", users, err)
	}
	if code, out, _ := typed("", "user", "list", "--json", "-state", state); code != exitOK || !strings.Contains(out, `"totp": true`) || strings.Contains(out, uri[1]) {
		t.Errorf("the list is %s", out)
	}
	if code, _, errText := typed("another\n", "user", "passwd", "alice", "-state", state); code != exitOK {
		t.Error(errText)
	}
	if users, _ := conf.ReadUsers(file); len(users) != 1 || string(users[0].Password.Reveal()) != "another" || users[0].TOTP.Len() == 0 {
		t.Error("a new password takes the codes away, or is kept as its hash")
	}
	if code, _, errText := typed("", "user", "totp", "alice", "-off", "-state", state); code != exitOK {
		t.Error(errText)
	}
	if b, _ := os.ReadFile(file); bytes.Contains(b, []byte("totp")) {
		t.Error("the codes are still there")
	}
	if code, _, errText := typed("", "user", "totp", "bob", "-off", "-state", state); code == exitOK || !strings.Contains(errText, "bob") {
		t.Errorf("of nobody: %q", errText)
	}
}
