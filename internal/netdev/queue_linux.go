package netdev

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// queue is one open file of a TUN or TAP device.
type queue struct {
	file    *os.File
	raw     syscall.RawConn
	vnet    int // length of the vnet header, 0 without
	reader  fileReader
	writers sync.Pool // of *fileWriter
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

// fileWriter is the same for one WriteBatch.
type fileWriter struct {
	packets []Packet
	sent    int
	write   func(fd uintptr)
}

// newQueue takes the file over. It must not block.
func newQueue(f *os.File, vnet int) (*queue, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	q := &queue{file: f, raw: raw, vnet: vnet}
	q.reader.read = q.readAll
	q.writers.New = func() any {
		w := new(fileWriter)
		w.write = func(fd uintptr) { q.writeAll(w, int(fd)) }
		return w
	}
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
		n, err := unix.Read(int(fd), b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return r.got > 0
		case err != nil:
			r.err = err
			return true
		}
		if n <= q.vnet {
			continue
		}
		p := r.room.take(n - q.vnet)
		if q.vnet > 0 {
			p.getVnet(b)
		}
		r.packets[r.got] = p
		r.got++
	}
	return true
}

// WriteBatch implements Queue.
func (q *queue) WriteBatch(packets []Packet) (int, error) {
	w, _ := q.writers.Get().(*fileWriter)
	w.packets, w.sent = packets, 0
	err := q.raw.Control(w.write)
	sent := w.sent
	w.packets = nil
	q.writers.Put(w)
	if err != nil {
		return 0, net.ErrClosed
	}
	return sent, nil
}

func (q *queue) writeAll(w *fileWriter, fd int) {
	for i := range w.packets {
		p := &w.packets[i]
		b := p.Buf[p.Off-q.vnet : p.End]
		if q.vnet > 0 {
			p.putVnet(b)
		}
		_, err := unix.Write(fd, b)
		for err == unix.EINTR {
			_, err = unix.Write(fd, b)
		}
		if err == nil {
			w.sent++
		}
	}
}

// Close implements Queue.
func (q *queue) Close() error { return q.file.Close() }

// The vnet header (virtio 1.2, section 5.1.6), in the byte order of the
// machine.
const (
	vnetLen = 10

	vnetNeedsCsum = 1
	vnetNone      = 0
	vnetTCP4      = 1
	vnetTCP6      = 4
	vnetECN       = 0x80
)

func (p *Packet) getVnet(h []byte) {
	if h[0]&vnetNeedsCsum != 0 {
		p.CsumStart = int(binary.NativeEndian.Uint16(h[6:]))
		p.CsumOffset = int(binary.NativeEndian.Uint16(h[8:]))
	}
	if h[1]&^vnetECN != vnetNone {
		p.HeaderLen = int(binary.NativeEndian.Uint16(h[2:]))
		p.Segment = int(binary.NativeEndian.Uint16(h[4:]))
	}
}

func (p *Packet) putVnet(h []byte) {
	clear(h[:vnetLen])
	if p.CsumStart > 0 {
		h[0] = vnetNeedsCsum
		binary.NativeEndian.PutUint16(h[6:], uint16(p.CsumStart))
		binary.NativeEndian.PutUint16(h[8:], uint16(p.CsumOffset))
	}
	if p.Segment > 0 {
		h[1] = vnetTCP4
		if p.Buf[p.Off]>>4 == 6 {
			h[1] = vnetTCP6
		}
		binary.NativeEndian.PutUint16(h[2:], uint16(p.HeaderLen))
		binary.NativeEndian.PutUint16(h[4:], uint16(p.Segment))
	}
}
