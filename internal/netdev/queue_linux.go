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

// fileReader is what ReadBatch works with. The poller is given one function for
// the life of the file, which finds its arguments here.
type fileReader struct {
	room    Room
	packets []Packet
	got     int
	err     error
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

// ReadBatch implements Queue.
func (q *queue) ReadBatch(room Room, packets []Packet) (int, error) {
	if len(room.Buf) < room.Len() {
		return 0, io.ErrShortBuffer
	}
	r := &q.reader
	r.room, r.packets, r.got, r.err = room, packets, 0, nil
	if err := q.raw.Read(r.read); errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, os.ErrDeadlineExceeded
	} else if err != nil {
		return 0, net.ErrClosed // a file's own error for it has no exported name
	}
	return r.got, r.err
}

// readAll reads until there is no more, and reports whether there was any.
func (q *queue) readAll(fd uintptr) bool {
	r := &q.reader
	for r.got < len(r.packets) && len(r.room.Buf) >= r.room.Len() {
		at := r.room.Head - q.vnet
		b := r.room.Buf[at : r.room.Head+MaxPacket]
		n, errno := readNow(fd, b)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return r.got > 0
		default:
			r.err = errno
			return true
		}
		if n <= q.vnet {
			continue
		}
		p := r.room.take(n - q.vnet)
		if q.vnet > 0 && !p.getVnet(b) {
			continue
		}
		r.packets[r.got] = p
		r.got++
	}
	return true
}

// Close implements Queue.
func (q *queue) Close() error { return q.file.Close() }
