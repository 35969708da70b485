package secret

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// platformDirs are where platforms put secrets, with modes of their own: Docker,
// Podman and Kubernetes for a container that is alone, systemd for a service.
var platformDirs = []string{"/run/secrets", "/run/credentials"}

// fileLimit is what a file of secrets has at most, in bytes.
const fileLimit = 1 << 20

// ReadFile reads a file of secrets. Who is to wait for a pipe's writer, or reads a
// device that has no end, serves nobody meanwhile: only a regular file is read.
func ReadFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err == nil && len(b) > fileLimit {
		err = fmt.Errorf("%s has more than %d bytes", name, fileLimit)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// CheckFile says why a file is not a place for a secret: others than its owner can
// read it. Where a platform has put it, its mode says nothing: 0444, or 0440 and
// a group, on a mount that nobody else sees.
func CheckFile(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	real, err := filepath.EvalSymlinks(name) // Kubernetes' name leads through ..data
	if err != nil {
		return err
	}
	if inPlatformDir(real) || onContainerMount(real) {
		return nil
	}
	return fmt.Errorf("%s can be read by others than its owner: chmod 600 %s, or have it mounted below /run/secrets, or read-only into a container", name, name)
}

func inPlatformDir(path string) bool {
	for _, dir := range append(platformDirs, os.Getenv("CREDENTIALS_DIRECTORY")) { // systemd.exec(5)
		if dir == "" {
			continue
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != "/" && strings.HasPrefix(path, real+"/") {
			return true
		}
	}
	return false
}

// firstPIDs is the PID namespace of the host (PROC_PID_INIT_INO of the kernel).
const firstPIDs = "pid:[4026531836]"

// onContainerMount reports whether a file is on a read-only mount of its own, in
// a container: Kubernetes mounts secrets so wherever it is told to, and others
// their files. Nobody else's processes are there.
func onContainerMount(path string) bool {
	if pids, err := os.Readlink("/proc/self/ns/pid"); err != nil || pids == firstPIDs {
		return false
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil || fs.Flags&unix.ST_RDONLY == 0 {
		return false
	}
	var own, root unix.Statx_t
	for name, stat := range map[string]*unix.Statx_t{path: &own, "/": &root} {
		// Since Linux 5.8.
		if err := unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_MNT_ID, stat); err != nil || stat.Mask&unix.STATX_MNT_ID == 0 {
			return false
		}
	}
	return own.Mnt_id != root.Mnt_id // what is part of the image is not a secret
}
