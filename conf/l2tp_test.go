package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
)

func TestTunnelSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("of a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	group := func(lines string) string {
		return "[[group]]\nname = \"routers\"\npsk = \"another-long-random-key\"\n" + lines
	}
	for name, tt := range map[string]struct {
		text, environ      string
		server, group, err string
	}{
		"none":                         {},
		"in the file":                  {text: "[l2tp]\nsecret = \"s\"", server: "s"},
		"in a file of its own":         {text: "[l2tp]\nsecret_file = \"" + file + "\"", server: "of a file"},
		"in the environment":           {environ: "ADIT_L2TP_SECRET=s", server: "s"},
		"in a file of the environment": {environ: "ADIT_L2TP_SECRET_FILE=" + file, server: "of a file"},
		"both":                         {text: "[l2tp]\nsecret = \"s\"\nsecret_file = \"" + file + "\"", err: "l2tp.secret_file: set secret or this, not both"},
		"required of nothing":          {text: "[l2tp]\nrequire_secret = true", err: "l2tp.require_secret: needs l2tp.secret"},
		"a file that is not there":     {environ: "ADIT_L2TP_SECRET_FILE=/nonexistent", err: "ADIT_L2TP_SECRET_FILE: cannot read the secret"},
		"a group's":                    {text: group("l2tp_secret = \"g\"\nrequire_l2tp_secret = true"), group: "g"},
		"a group's file":               {text: group("l2tp_secret_file = \"" + file + "\""), group: "of a file"},
		"everybody's, for a group":     {text: "[l2tp]\nsecret = \"s\"\n" + group("require_l2tp_secret = true"), server: "s", group: "s"},
		"required of a group":          {text: group("require_l2tp_secret = true"), err: "group[0].require_l2tp_secret: needs l2tp_secret"},
		"of a group without a key":     {text: "[[group]]\nname = \"x\"\nl2tp_secret = \"g\"", err: "group[0].l2tp_secret: does nothing without psk"},
	} {
		environ := []string{"ADIT_IPSEC_PSK=" + goodPSK, "ADIT_USERS=a:b"}
		if tt.environ != "" {
			environ = append(environ, tt.environ)
		}
		c, err := load(t, tt.text, environ...)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %s", name, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !c.L2TP.Secret.Equal(secret.String(tt.server)) || tt.group != "" && !c.TunnelSecret(&c.Groups[0]).Equal(secret.String(tt.group)) {
			t.Errorf("%s: the secret is another", name)
		}
	}
}
