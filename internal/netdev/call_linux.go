package netdev

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls do not wait, for the files are non-blocking. So the scheduler is
// not told of them: it takes a processor away from a goroutine whose call it
// finds still running after some microseconds, and carrying 64 KiB takes
// longer. To get it back costs as much again as the call.

func readNow(fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func writeNow(fd uintptr, b []byte) syscall.Errno {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno != unix.EINTR {
			return errno
		}
	}
}

func writevNow(fd uintptr, v []unix.Iovec) syscall.Errno {
	if len(v) == 1 {
		return writeNow(fd, unsafe.Slice(v[0].Base, v[0].Len))
	}
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(v))), uintptr(len(v)))
		if errno != unix.EINTR {
			return errno
		}
	}
}
