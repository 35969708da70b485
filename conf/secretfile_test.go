package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A secret is in a regular file: nothing waits for the writer of a pipe, or reads
// what has no end.
func TestSecretFilesAreRegularAndSmall(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeIn(t, dir, "ok", 0o600, "Abcdefgh-12345678-x")
	writeIn(t, dir, "large", 0o600, strings.Repeat("x", 1<<20+1))
	if err := unix.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": "ok", "to-pipe": "pipe", "loop": "loop"} {
		if err := os.Symlink(to, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		at("ok"): "", at("link"): "", at("pipe"): "not a regular file", at("to-pipe"): "not a regular file", at("loop"): "too many levels",
		dir: "not a regular file", "/dev/zero": "not a regular file", "/dev/null": "not a regular file", at("large"): "more than", at("none"): "no such file",
	} {
		file := writeIn(t, dir, "adit.toml", 0o600, "[ipsec]\npsk_file = \""+name+"\"\n[[user]]\nname = \"alice\"\npassword = \"correct horse battery\"\n")
		_, err := Load(file, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "ipsec.psk_file")) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func writeIn(t *testing.T, dir, name string, mode os.FileMode, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}
