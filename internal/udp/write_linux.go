package udp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// writer is the scratch space of one WriteBatch.
type writer struct {
	messages
	socket  *Socket
	packets []Packet
	owner   [batchLen]int  // index of the packet that a message belongs to
	train   [batchLen]bool // it is the whole packet, for the kernel to cut
	n       int

	at, sent int
	errno    syscall.Errno
	write    func(fd uintptr)

	lost     int // packets of which something was lost
	lastLost int
}

func newWriter(s *Socket) *writer {
	w := &writer{socket: s}
	w.init()
	w.write = func(fd uintptr) { w.sent, w.errno = w.call(unix.SYS_SENDMMSG, fd, w.at, w.n) }
	return w
}

// writer takes scratch space for some packets, until done.
func (s *Socket) writer(packets []Packet) *writer {
	w, _ := s.writers.Get().(*writer)
	w.packets, w.lost, w.lastLost = packets, 0, -1
	return w
}

func (w *writer) done() {
	w.packets, w.n = nil, 0
	w.socket.writers.Put(w)
}

// WriteBatch implements Conn. A train goes out in one piece where the kernel
// and the way out can cut it, else as its datagrams. An error means that the
// socket is closed.
func (s *Socket) WriteBatch(packets []Packet) (int, error) {
	w := s.writer(packets)
	defer w.done()
	for i := range packets {
		if err := w.add(i); err != nil {
			return 0, err
		}
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(packets) - w.lost, nil
}

// add queues a packet.
func (w *writer) add(owner int) error {
	p := &w.packets[owner]
	switch {
	case p.Segment <= 0 || p.Segment >= len(p.Data):
		return w.push(owner, p.Data, 0)
	case w.socket.noSegment.Load():
		return w.cut(owner)
	default:
		return w.push(owner, p.Data, p.Segment)
	}
}

// cut queues the datagrams of a train.
func (w *writer) cut(owner int) error {
	p := &w.packets[owner]
	for rest := p.Data; len(rest) > 0; {
		n := min(p.Segment, len(rest))
		if err := w.push(owner, rest[:n], 0); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// push queues one message, and sends what is queued when there is no more room.
func (w *writer) push(owner int, data []byte, segment int) error {
	p, i, n := &w.packets[owner], w.n, 0
	h := &w.headers[i].Hdr
	h.Namelen = putName(&w.names[i], p.Remote)
	w.controls[i].putLocal(&n, p.Local.Addr())
	if segment > 0 {
		w.controls[i].putSegment(&n, segment)
	}
	h.Control = nil
	if n > 0 {
		h.Control = &w.controls[i].b[0]
	}
	h.SetControllen(n)
	w.setData(i, data)
	w.owner[i], w.train[i] = owner, segment > 0
	if w.n++; w.n == batchLen {
		return w.flush()
	}
	return nil
}

// flush hands what is queued to the kernel, which takes as much as it can.
func (w *writer) flush() error {
	defer func() { w.n = 0 }()
	for w.at = 0; w.at < w.n; {
		if err := w.socket.raw.Control(w.write); err != nil {
			return err
		}
		switch w.errno {
		case 0:
			w.at += w.sent
		case unix.EAGAIN, unix.ENOBUFS:
			for ; w.at < w.n; w.at++ {
				w.lose(w.owner[w.at])
			}
		default:
			if err := w.refused(w.at); err != nil {
				return err
			}
			w.at++
		}
	}
	return nil
}

// refused gives a train that the kernel did not take another chance, as its
// datagrams. EIO says that the way out has no checksum offload, which cutting
// needs; EMSGSIZE and EINVAL that the segments do not fit, or are too many.
func (w *writer) refused(i int) error {
	owner := w.owner[i]
	if !w.train[i] || w.errno != unix.EIO && w.errno != unix.EMSGSIZE && w.errno != unix.EINVAL {
		w.lose(owner)
		return nil
	}
	if w.errno == unix.EIO {
		w.socket.noSegment.Store(true)
	}
	single := w.socket.writer(w.packets)
	defer single.done()
	if err := single.cut(owner); err != nil {
		return err
	}
	if err := single.flush(); err != nil {
		return err
	}
	if single.lost > 0 {
		w.lose(owner)
	}
	return nil
}

func (w *writer) lose(owner int) {
	if owner != w.lastLost {
		w.lastLost = owner
		w.lost++
	}
}
