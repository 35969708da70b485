package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// What a file is replaced by outlives a power loss: the directory is synced, or there is an error,
// as where it may be changed and not opened.
func TestWriteAtomicSyncsTheDirectory(t *testing.T) {
	const nobody = 65534
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o711), os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o300)); err != nil {
		t.Fatal("as root: ", err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		err := unix.Setfsuid(nobody)
		failed <- errors.Join(err, WriteAtomic(filepath.Join(dir, "users.toml"), []byte("x")))
	}()
	if err := <-failed; !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 || list[0].Name() != "users.toml" {
		t.Errorf("left: %v, %v", list, err)
	}
}
