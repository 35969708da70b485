package hostnet

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// changes notices when anybody changes the host's nftables or devices.
type changes struct {
	sockets []*os.File
	heard   chan struct{} // something has changed
}

// newChanges listens until close. If it cannot, nothing is heard, and the guard is looked
// after at intervals only.
func newChanges() *changes {
	c := &changes{heard: make(chan struct{}, 1)}
	for _, s := range []struct {
		protocol int
		groups   uint32
	}{
		{unix.NETLINK_NETFILTER, 1 << (unix.NFNLGRP_NFTABLES - 1)},
		{unix.NETLINK_ROUTE, unix.RTMGRP_LINK},
	} {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, s.protocol)
		if err != nil {
			continue
		}
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: s.groups}); err != nil {
			_ = unix.Close(fd) // it was never used
			continue
		}
		f := os.NewFile(uintptr(fd), "netlink")
		c.sockets = append(c.sockets, f)
		go c.listen(f)
	}
	return c
}

// listen reads a socket until it is closed. The content of a message does not matter:
// after any change the guard is checked.
func (c *changes) listen(f *os.File) {
	buf := make([]byte, 1<<14)
	for {
		if _, err := f.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case c.heard <- struct{}{}:
		default:
		}
	}
}

func (c *changes) close() {
	for _, f := range c.sockets {
		_ = f.Close() // it was only read
	}
}

// Changed has an element when somebody has changed the host's nftables or devices
// since the last one was taken: it is time for Mend.
func (h *Host) Changed() <-chan struct{} { return h.changes.heard }
