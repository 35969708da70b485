package hostnet

import (
	"encoding/binary"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// watch notes who writes sysctls while the server runs, also those that do not
// truncate them. It keeps their times as well: the kernel forgets the time of a
// file of /proc that nobody holds.
type watch struct {
	fd    int // of inotify; -1: there is none, and times alone tell
	names map[int32]string
}

func newWatch() *watch {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		fd = -1
	}
	return &watch{fd: fd, names: map[int32]string{}}
}

// add begins to watch a file, for the sysctl that is meant by it.
func (w *watch) add(file, name string) {
	if wd, err := unix.InotifyAddWatch(w.fd, filepath.Join(sysctlDir, file), unix.IN_MODIFY); err == nil {
		w.names[int32(wd)] = name
	}
}

// written returns what was written since it is watched.
func (w *watch) written() map[string]bool {
	found := map[string]bool{}
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(w.fd, buf)
		if err != nil || n < unix.SizeofInotifyEvent {
			return found
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			found[w.names[int32(binary.NativeEndian.Uint32(b))]] = true
			b = b[min(len(b), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:]))):]
		}
	}
}

func (w *watch) close() {
	if w.fd >= 0 {
		_ = unix.Close(w.fd) // it was only read
		w.fd = -1
	}
}
