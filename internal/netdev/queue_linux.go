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
	err     error // why it ended
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
	q.reader.read = q.readAll
	return q, nil
}

// Read implements Queue.
func (q *queue) Read(room Room, packets []Packet, handle func(n int) bool) error {
	if len(room.Buf) < room.Len() || len(packets) == 0 {
		return io.ErrShortBuffer
	}
	r := &q.reader
	r.room, r.packets, r.handle, r.err = room, packets, handle, nil
	if err := q.raw.Read(r.read); errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	} else if err != nil {
		return net.ErrClosed // a file's own error for it has no exported name
	}
	return r.err
}

// readAll reads and has handled what there is, and reports whether that was all
// for ever: if not, the poller waits for more.
func (q *queue) readAll(fd uintptr) bool {
	r := &q.reader
	for {
		n, err := r.fill(fd, q.vnet)
		if n > 0 && !r.handle(n) {
			return true
		}
		switch err {
		case 0:
		case unix.EAGAIN:
			return false
		default:
			r.err = err
			return true
		}
	}
}

// fill reads as much as there is, and there is room for. It returns EAGAIN if
// nothing was left behind.
func (r *fileReader) fill(fd uintptr, vnet int) (got int, errno syscall.Errno) {
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
		if vnet > 0 && !p.getVnet(b) {
			continue
		}
		r.packets[got] = p
		got++
	}
	return got, 0
}

// Close implements Queue.
func (q *queue) Close() error { return q.file.Close() }
