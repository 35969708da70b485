package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

func TestServeReadsTheNamedFileThenTheUsualOneThenTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ADIT_SERVER_STATE_DIR", dir)
	t.Setenv("ADIT_USERS", "alice:p")
	write := func(name, psk string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("[ipsec]\npsk = \""+psk+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := write("named.toml", "key-of-the-named-file")
	usual := write("usual.toml", "key-of-the-usual-file")
	missing := filepath.Join(dir, "missing.toml")

	for _, tc := range []struct{ file, fallback, env, psk, from string }{
		{named, usual, "", "key-of-the-named-file", named},
		{"", usual, "", "key-of-the-usual-file", usual},
		{"", usual, "key-of-the-environment", "key-of-the-environment", usual},
		{"", missing, "key-of-the-environment", "key-of-the-environment", ""},
	} {
		t.Setenv("ADIT_IPSEC_PSK", tc.env)
		c, err := loadConfig(tc.file, tc.fallback)
		if err != nil {
			t.Errorf("-c %q, usual %q: %v", tc.file, tc.fallback, err)
			continue
		}
		if got := string(c.IPsec.PSK[0].Reveal()); got != tc.psk || c.File != tc.from {
			t.Errorf("-c %q, usual %q: key %q from %q, want %q from %q", tc.file, tc.fallback, got, c.File, tc.psk, tc.from)
		}
	}

	t.Setenv("ADIT_IPSEC_PSK", "")
	var wrong conf.Errors
	if _, err := loadConfig("", missing); !errors.As(err, &wrong) {
		t.Errorf("without any file and without a key: %v, want an error of the configuration", err)
	}
	if _, err := loadConfig(missing, usual); err == nil {
		t.Error("a named file that is missing was passed over")
	}
	if _, err := loadConfig("", filepath.Join(named, "below-a-file")); err == nil {
		t.Error("a usual file that cannot be looked at was passed over")
	}
}
