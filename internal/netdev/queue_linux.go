package netdev

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// queue is one open file of a TUN or TAP device.
type queue struct {
	file     *os.File
	raw      syscall.RawConn
	vnet     int // length of the vnet header, 0 without
	link     int // length of the link's header in front of IP, 0 without
	offloads Offloads
	reader   fileReader
	idle     [8]atomic.Pointer[fileWriter]
}

// fileReader is what Read works with. The poller is given one function for the
// life of the file, which finds its arguments here.
type fileReader struct {
	room    Room
	packets []Packet
	handle  func(n int) bool
	over    bool  // Read ends
	err     error // and why
	read    func(fd uintptr) bool
}

// newQueue takes the file over. It must not block.
func newQueue(f *os.File, o Offloads) (*queue, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	q := &queue{file: f, raw: raw, offloads: o}
	if o < NoHeaders {
		q.vnet = vnetLen
	}
	q.reader.read = q.readSome
	return q, nil
}

// Read implements Queue.
func (q *queue) Read(room Room, packets []Packet, handle func(n int) bool) error {
	if len(room.Buf) < room.Len() || len(packets) == 0 {
		return io.ErrShortBuffer
	}
	r := &q.reader
	r.room, r.packets, r.handle, r.over, r.err = room, packets, handle, false, nil
	for !r.over {
		if err := q.raw.Read(r.read); errors.Is(err, os.ErrDeadlineExceeded) {
			return os.ErrDeadlineExceeded
		} else if err != nil {
			return net.ErrClosed // a file's own error for it has no exported name
		}
	}
	return r.err
}

// readSome reads what there is and has it handled. It reports false if nothing
// was left behind, for the poller to wait. If there may be more it leaves the
// poller, which would not hear of Close as long as more comes.
func (q *queue) readSome(fd uintptr) bool {
	r := &q.reader
	n, errno := r.fill(fd, q.vnet, q.link)
	if n > 0 && !r.handle(n) {
		r.over = true
		return true
	}
	if n == 0 && errno != 0 && errno != unix.EAGAIN { // behind a packet it comes again, or is gone
		r.over, r.err = true, errno
	}
	return errno != unix.EAGAIN
}

// fill reads as much as there is, and there is room for. It returns EAGAIN if
// nothing was left behind.
func (r *fileReader) fill(fd uintptr, vnet, link int) (got int, errno syscall.Errno) {
	room := r.room
	for got < len(r.packets) && len(room.Buf) >= room.Len() {
		b := room.Buf[room.Head-vnet : room.Head+MaxPacket]
		n, errno := readNow(fd, b)
		if errno != 0 {
			return got, errno
		}
		if n <= vnet {
			continue
		}
		p := room.take(n - vnet)
		if vnet > 0 && !p.getVnet(b, link) {
			continue
		}
		r.packets[got] = p
		got++
	}
	return got, 0
}

// Close implements Queue.
func (q *queue) Close() error { return q.file.Close() }
