package app

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that a running server needs: the host's network is
// changed back at the end.
const kept = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_BIND_SERVICE

// errCgo says that the threads of this binary cannot be confined together.
var errCgo = errors.New("this binary was built with cgo and keeps its capabilities; build it with CGO_ENABLED=0")

// confine gives up what is not needed any more: core dumps, which would hold
// keys, new privileges by exec, and other capabilities.
func confine() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	// Both of these belong to a thread: all of them must follow.
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	switch {
	case errno == unix.ENOTSUP:
		return errCgo
	case errno != 0:
		return fmt.Errorf("forbidding new privileges: %w", errno)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	data[0].Effective &= kept
	data[0].Permitted &= kept
	data[0].Inheritable = 0
	data[1] = unix.CapUserData{}
	header.Pid = 0
	_, _, errno = syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return fmt.Errorf("giving up capabilities: %w", errno)
	}
	return nil
}
