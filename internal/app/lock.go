package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile is held in the state directory for as long as a server runs.
const lockFile = "lock"

// CheckState says why a directory would be refused as the state directory.
func CheckState(dir string) error {
	if err := checkPrivateDir(dir); err != nil {
		return fmt.Errorf("server.state_dir: %w", err)
	}
	return nil
}

// lockState keeps a second server from the state directory of one that runs:
// it would take the first one's undo record for what a dead server left, and
// undo it. The kernel releases the lock of a process that dies. A directory that others
// can write is refused: the server trusts what it finds there.
func lockState(dir string) (release func() error, err error) {
	if err := CheckState(dir); err != nil {
		return nil, err
	}
	nothing := func() error { return nil }
	if err := os.MkdirAll(dir, 0o700); err == nil {
		file := filepath.Join(dir, lockFile)
		f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
			if err == nil {
				return f.Close, nil
			}
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("another adit runs with the state directory %s: stop it, or give this one a server.state_dir of its own", dir)
			}
		}
	}
	// Where nothing can be written, or the file system has no locks, there is
	// no record to protect either: what needs one fails with its own error.
	return nothing, nil
}
