package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/app"
)

const someKey = "[ipsec]\npsk = \"it's a key of some length\"\n"

func loaded(t *testing.T, text string) *conf.Config {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "adit.toml")
	if err := os.WriteFile(file, []byte("server.state_dir = \""+dir+"\"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The instructions have the values of the configuration, for each user.
func TestWhatToTypeIntoClients(t *testing.T) {
	const users = "[[user]]\nname = \"alice\"\npassword = \"hunter2\"\n[[user]]\nname = \"bob\"\nnt_hash = \"0123456789abcdef0123456789abcdef\"\ngroup = \"staff\"\n[[group]]\nname = \"staff\"\n"
	const radius = "[auth]\nbackend = \"radius\"\n[radius]\nservers = [{ address = \"192.0.2.1:1812\", secret = \"s\" }]\n"
	for name, tc := range map[string]struct {
		text, user string
		reveal     bool
		want       needs // without server and note
		in         string
	}{
		"the first user, to a terminal": {someKey + users, "", true, needs{psk: "it's a key of some length", user: "alice", password: "hunter2"}, `-L2tpPsk 'it''s a key of some length' `},
		"to a pipe":                     {someKey + users, "", false, needs{psk: "the psk in FILE", user: "alice", password: "the password in FILE"}, `-L2tpPsk 'THE KEY' `},
		"another, with a hash":          {someKey + users, "bob", true, needs{psk: "it's a key of some length", user: "bob", password: "known to the user: only its hash is here"}, ""},
		"a group's key":                 {users + "psk = \"another key of some length\"\n", "bob", true, needs{psk: "another key of some length", user: "bob", password: "known to the user: only its hash is here"}, ""},
		"a group's key, to a pipe":      {users + "psk = \"another key of some length\"\n", "bob", false, needs{psk: "the psk of the [[group]] staff in FILE", user: "bob", password: "known to the user: only its hash is here"}, ""},
		"a group's key beside all's":    {someKey + users + "psk = \"another key of some length\"\n", "bob", true, needs{psk: "another key of some length", user: "bob", password: "known to the user: only its hash is here"}, "'another key"},
		"who is in no group has all's":  {someKey + users + "psk = \"another key of some length\"\n", "alice", true, needs{psk: "it's a key of some length", user: "alice", password: "hunter2"}, ""},
		"users of RADIUS":               {someKey + radius, "", true, needs{psk: "it's a key of some length", user: "one that the RADIUS server knows", password: "the user's"}, ""},
		"a user of RADIUS":              {someKey + radius, "carol", true, needs{psk: "it's a key of some length", user: "carol", password: "the user's"}, ""},
	} {
		c := loaded(t, tc.text)
		got, err := needsOf(c, tc.user, tc.reveal)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(got.command, tc.in) {
			t.Errorf("%s: %q is not in %q", name, tc.in, got.command)
		}
		for _, text := range []*string{&tc.want.psk, &tc.want.password} {
			*text = strings.ReplaceAll(*text, "FILE", c.File)
		}
		if got.kind != "pre-shared key" {
			t.Errorf("%s: a %s", name, got.kind)
		}
		got.server, got.note, got.kind, got.command = "", "", "", ""
		if got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	if _, err := needsOf(loaded(t, someKey+users), "carol", true); err == nil || !strings.Contains(err.Error(), `no user "carol"`) {
		t.Errorf("of nobody: %v", err)
	}
}

// If a password is not shown, the command names the file that holds it.
func TestWhereAPasswordStands(t *testing.T) {
	c := loaded(t, someKey+"[[user]]\nname = \"alice\"\npassword = \"hunter2\"\n")
	users := filepath.Join(c.Server.StateDir, conf.UsersFile)
	if err := os.WriteFile(users, []byte("[[user]]\nname = \"bob\"\npassword = \"hunter3\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(c.File, nil)
	if err != nil {
		t.Fatal(err)
	}
	for user, file := range map[string]string{"alice": c.File, "bob": users} {
		if got, err := needsOf(c, user, false); err != nil || got.password != "the password in "+file {
			t.Errorf("%s: %q, %v", user, got.password, err)
		}
	}
}

// The command for Windows matches what the server allows.
func TestThePowerShellLine(t *testing.T) {
	for _, tc := range []struct {
		psk     string
		methods []conf.Method
		want    string
	}{
		{"key", []conf.Method{"mschapv2"}, "-TunnelType L2tp -L2tpPsk 'key' -AuthenticationMethod MSChapv2 -EncryptionLevel Required "},
		{"it's ’so‘", []conf.Method{"pap", "mschapv2"}, "-L2tpPsk 'it''s ’’so‘‘' -AuthenticationMethod MSChapv2 "},
		{"key", []conf.Method{"pap", "chap"}, "-AuthenticationMethod Chap -EncryptionLevel Optional "},
		{"key", []conf.Method{"pap"}, "-AuthenticationMethod Pap -EncryptionLevel Optional "},
		{"", []conf.Method{"mschapv2"}, "-TunnelType L2tp -AuthenticationMethod MSChapv2 "},
	} {
		if got := powerShell("vpn.example.com", tc.psk, tc.methods); !strings.Contains(got, tc.want) || !strings.HasPrefix(got, "Add-VpnConnection -Name 'VPN' -ServerAddress 'vpn.example.com' ") {
			t.Errorf("%q, want %q in it", got, tc.want)
		}
	}
}

// Everything that a newcomer looks for is there, of adit up and again of adit
// clients; and no secret where it would be kept in a log.
func TestClientsSaysAllOfIt(t *testing.T) {
	c := loaded(t, someKey+"[server]\npublic = \"vpn.example.com\"\n[[user]]\nname = \"alice\"\npassword = \"hunter2\"\n")
	code, out, errText := typed("", "clients", "-c", c.File)
	if code != exitOK {
		t.Fatal(errText)
	}
	for _, want := range []string{
		"server          vpn.example.com\n", "UDP ports 500 and 4500", "Send all traffic over VPN connection", "L2TP/IPsec with pre-shared key",
		"Add-VpnConnection -Name 'VPN' -ServerAddress 'vpn.example.com' -TunnelType L2tp -L2tpPsk 'THE KEY' -AuthenticationMethod MSChapv2 -EncryptionLevel Required -RememberCredential -Force\n",
		"clients -c " + c.File + "\n", "user add -generate NAME -c " + c.File + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, "some length") {
		t.Errorf("a secret is in\n%s", out)
	}
	var again bytes.Buffer
	if err := instruct(&again, c, "alice"); err != nil || again.String() != out {
		t.Errorf("%v, %s", err, &again)
	}
}

// It has one address, and none that only this host knows.
func TestTheServersAddressIsOne(t *testing.T) {
	c := loaded(t, someKey+"[[user]]\nname = \"alice\"\npassword = \"p\"\n")
	own, err := app.Outward(c)
	if err != nil {
		t.Fatal(err)
	}
	server, note := dialled(c)
	switch {
	case own.IsValid() && server != own.String():
		t.Errorf("%q, want %v", server, own)
	case own.IsValid() && isPrivate(own) != strings.Contains(note, "server.public"):
		t.Errorf("%v: %q", own, note)
	case !own.IsValid() && server != "this host's name or address":
		t.Errorf("%q", server)
	}
	for address, want := range map[string]bool{"10.0.0.1": true, "172.31.0.1": true, "192.168.0.1": true, "100.64.0.1": true, "100.128.0.1": false, "192.0.2.1": false, "fd00::1": true, "2001:db8::1": false} {
		if got := isPrivate(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: private %v", address, got)
		}
	}
}
