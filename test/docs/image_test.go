package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
)

// The build of the image finds the version of a checkout without git, in every
// form in which git stores it.
func TestTheVersionOfAnImage(t *testing.T) {
	const commit, other, object = "0123456789abcdef0123456789abcdef01234567", "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a branch":              {map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": commit + "\n"}, commit[:12]},
		"a branch with a slash": {map[string]string{"HEAD": "ref: refs/heads/fix/it\n", "refs/heads/fix/it": commit + "\n", "refs/heads/main": other + "\n"}, commit[:12]},
		"a fresh clone":         {map[string]string{"HEAD": "ref: refs/heads/main\n", "packed-refs": "# pack-refs with: peeled\n" + other + " refs/heads/fix\n" + commit + " refs/heads/main\n"}, commit[:12]},
		"moved since":           {map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": commit + "\n", "packed-refs": other + " refs/heads/main\n"}, commit[:12]},
		"a tag":                 {map[string]string{"HEAD": commit + "\n", "refs/tags/v1.2.0": commit + "\n", "refs/tags/v1.1.0": other + "\n"}, "v1.2.0"},
		"an annotated tag":      {map[string]string{"HEAD": commit + "\n", "packed-refs": other + " refs/heads/main\n" + object + " refs/tags/v1.2.0\n^" + commit + "\n" + other + " refs/tags/v1.1.0\n"}, "v1.2.0"},
		"a branch at a tag":     {map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": commit + "\n", "packed-refs": commit + " refs/tags/v1.2.0\n"}, "v1.2.0"},
		"without a commit":      {map[string]string{"HEAD": "ref: refs/heads/main\n"}, "development"},
		"no checkout":           {nil, "development"},
		"a work tree":           {map[string]string{"../.git": "gitdir: elsewhere\n"}, "development"},
	} {
		dir := t.TempDir()
		for file, text := range tc.files {
			file = filepath.Join(dir, ".git", file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command("sh", filepath.Join(root, "deploy/image-version"), dir).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tc.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.want)
		}
	}
}

// The error for each value that env.example leaves empty names its variable. With
// these values filled in, the file is a valid configuration.
func TestTheExampleOfTheEnvironment(t *testing.T) {
	environ := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				list = append(list, line)
			}
		}
		return append(list, "ADIT_SERVER_STATE_DIR="+t.TempDir())
	}
	example := read(t, "deploy/env.example")
	filled := strings.NewReplacer("\nADIT_IPSEC_PSK=\n", "\nADIT_IPSEC_PSK=ABCDEFGHIJKLMNOPQRSTUVWX\n", "\nADIT_USERS=\n", "\nADIT_USERS=alice:p\n").Replace(example)
	for name, tc := range map[string]struct {
		text string
		want []string // how each error begins
	}{
		"an empty file": {"", []string{"ADIT_IPSEC_PSK: missing", "ADIT_USERS: missing"}},
		"as it is":      {example, []string{"ADIT_IPSEC_PSK: missing", "ADIT_USERS: missing"}},
		"filled in":     {filled, nil},
		"without users": {strings.Replace(filled, "ADIT_USERS=alice:p", "", 1), []string{"ADIT_USERS: missing"}},
		"in tap mode":   {filled + "ADIT_NETWORK_MODE=tap\nADIT_NETWORK_POOL=192.168.1.200-192.168.1.250\n", []string{"ADIT_NETWORK_LAN: "}},
	} {
		_, err := conf.Load("", environ(tc.text))
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
			continue
		}
		for i, want := range tc.want {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%s: %q, want %q", name, got[i], want)
			}
		}
	}
}
