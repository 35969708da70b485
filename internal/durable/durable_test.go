package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRenameReplaces(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "new"), filepath.Join(dir, "old")
	for _, name := range []string{to, from} {
		if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != from {
		t.Errorf("got %q, %v", b, err)
	}
	if err := Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is nothing to rename: %v", err)
	}
}

// A directory that may be changed, and not opened, cannot be synced: that is an error.
func TestRenameSyncsTheDirectory(t *testing.T) {
	const nobody = 65534
	dir := t.TempDir()
	from := filepath.Join(dir, "new")
	if err := errors.Join(os.WriteFile(from, nil, 0o600), os.Chmod(filepath.Dir(dir), 0o711), os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o300)); err != nil {
		t.Fatal("as root: ", err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		err := unix.Setfsuid(nobody)
		failed <- errors.Join(err, Rename(from, filepath.Join(dir, "old")))
	}()
	if err := <-failed; !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "old")); err != nil {
		t.Errorf("it was not renamed: %v", err)
	}
}
