package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// must fails a test for whatever has gone wrong.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What the server has not made, or others can write, gets no session keys.
func TestTheKeyLogIsTheServersOwn(t *testing.T) {
	const stranger = 65534
	for name, v := range map[string]struct {
		make func(t *testing.T, dir, aside string) // before the start
		says string                                // "": it is written to
	}{
		"nothing there": {func(*testing.T, string, string) {}, ""},
		"from before": {func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "esp_sa"), nil, 0o600))
		}, ""},
		"a directory that others read": {func(t *testing.T, dir, _ string) { must(t, os.Mkdir(dir, 0o755)) }, ""},
		"a directory that others write": {func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777))
		}, "written by others"},
		"a sticky one": {func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777|os.ModeSticky))
		}, "written by others"},
		"one that a group writes": {func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770))
		}, "written by others"},
		"somebody else's directory": {func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(dir, 0o700), os.Chown(dir, stranger, stranger))
		}, "belongs to"},
		"a link to a directory": {func(t *testing.T, dir, aside string) {
			must(t, os.Mkdir(aside, 0o700), os.Symlink(aside, dir))
		}, "is a link"},
		"a file": {func(t *testing.T, dir, _ string) { must(t, os.WriteFile(dir, nil, 0o600)) }, "not a directory"},
		"a link for a file": {func(t *testing.T, dir, aside string) {
			must(t, os.Mkdir(dir, 0o700), os.WriteFile(aside, nil, 0o600), os.Symlink(aside, filepath.Join(dir, "esp_sa")))
		}, "esp_sa"},
		"a link that leads nowhere": {func(t *testing.T, dir, aside string) {
			must(t, os.Mkdir(dir, 0o700), os.Symlink(aside, filepath.Join(dir, "esp_sa")))
		}, "esp_sa"},
		"a second name": {func(t *testing.T, dir, aside string) {
			must(t, os.Mkdir(dir, 0o700), os.WriteFile(aside, nil, 0o600), os.Link(aside, filepath.Join(dir, "esp_sa")))
		}, "not made by the server"},
		"somebody else's file": {func(t *testing.T, dir, _ string) {
			file := filepath.Join(dir, "ikev1_decryption_table")
			must(t, os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o600), os.Chown(file, stranger, stranger))
		}, "not made by the server"},
		"a file that others read": {func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "esp_sa"), nil, 0o644))
		}, "not made by the server"},
	} {
		t.Run(name, func(t *testing.T) {
			at := t.TempDir()
			dir, aside := filepath.Join(at, "keys"), filepath.Join(at, "aside")
			v.make(t, dir, aside)
			var cleanup closers
			_, err := openKeyLog(dir, &cleanup)
			if (err != nil) != (v.says != "") || err != nil && (!strings.Contains(err.Error(), v.says) || !strings.Contains(err.Error(), "ipsec.key_log")) {
				t.Errorf("got %v, want %q", err, v.says)
			}
			must(t, cleanup.close())
			if info, err := os.Stat(aside); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				t.Error("somebody else's file was written to")
			}
		})
	}
}

// A state directory that others can write is refused, at the start and by check.
func TestAStateDirectoryThatOthersWriteIsRefused(t *testing.T) {
	for name, v := range map[string]struct {
		mode  os.FileMode
		owner int
		says  string
	}{
		"ours": {0o700, 0, ""}, "others read it": {0o755, 0, ""},
		"a group writes it": {0o770, 0, "written by others"}, "all write it": {0o777, 0, "written by others"},
		"all write it, sticky": {0o777 | os.ModeSticky, 0, "written by others"}, "somebody else's": {0o700, 65534, "belongs to user 65534"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, link := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "link")
			must(t, os.Mkdir(dir, 0o700), os.Chmod(dir, v.mode), os.Chown(dir, v.owner, -1), os.Symlink(dir, link))
			for _, at := range []string{dir, link} {
				release, err := lockState(at)
				for who, err := range map[string]error{"start": err, "check": checkStateDir(at)} {
					if (err != nil) != (v.says != "") || err != nil && !strings.Contains(err.Error(), v.says) {
						t.Errorf("%s: %v, want %q", who, err, v.says)
					}
				}
				if err == nil {
					must(t, release())
				}
			}
		})
	}
}
