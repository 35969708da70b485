package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// othersWrite are the bits of a mode by which others than the owner write.
const othersWrite = 0o022

// checkPrivateDir returns an error if others can put files into a directory whose content
// the server trusts when it starts.
func checkPrivateDir(dir string) error {
	info, err := os.Stat(dir) // systemd's state directories are links
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	return private(dir, info)
}

// private refuses files that belong neither to us nor to root, and those that others can
// write.
func private(name string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch own := os.Geteuid(); {
	case !ok:
		return fmt.Errorf("cannot tell whose %s is", name)
	case int(st.Uid) != own && st.Uid != 0:
		return fmt.Errorf("%s belongs to user %d, and the server runs as %d: have it made by the server, or chown it", name, st.Uid, own)
	case info.Mode().Perm()&othersWrite != 0:
		return fmt.Errorf("%s can be written by others than its owner, who could have put anything there: look at what is in it, then chmod go-w %[1]s", name)
	}
	return nil
}

// openPrivate opens a file of a directory for appending, and makes it if it is not
// there. One that is there must be the server's own: a file with nothing but this
// name, that nobody else reads or writes.
func openPrivate(dir *os.File, name string) (*os.File, error) {
	const how = unix.O_WRONLY | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	path := filepath.Join(dir.Name(), name)
	fd, err := unix.Openat(int(dir.Fd()), name, how|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), path), nil
	}
	if !errors.Is(err, unix.EEXIST) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if fd, err = unix.Openat(int(dir.Fd()), name, how, 0); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if err := ownFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func ownFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || int(st.Uid) != os.Geteuid() || st.Nlink != 1 || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s was not made by the server: it is to be a file of its own user alone, mode 600, with no other name; remove it", f.Name())
	}
	return nil
}

// openPrivateDir opens a directory of the server's own, and makes it if it is not
// there.
func openPrivateDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s is a link, or no directory: name the directory itself", dir)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = private(dir, info)
	}
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
			err = fmt.Errorf("%s belongs to another user than the server's: name a directory that the server makes", dir)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
