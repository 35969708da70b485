package udp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// writer is the scratch space of one WriteBatch.
type writer struct {
	messages
	socket *Socket
	owner  [batchLen]int // index of the packet that a message belongs to
	whole  [batchLen]int // length of the control data without a segment size
	n      int

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

// WriteBatch implements Conn. A train goes out in one piece where the kernel
// and the way out can cut it, else as its datagrams. An error means that the
// socket is closed.
func (s *Socket) WriteBatch(packets []Packet) (int, error) {
	w, _ := s.writers.Get().(*writer)
	defer s.writers.Put(w)
	w.lost, w.lastLost = 0, -1
	for i := range packets {
		if err := w.add(&packets[i], i); err != nil {
			return 0, err
		}
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(packets) - w.lost, nil
}

// add queues a packet, and sends what is queued when there is no more room.
func (w *writer) add(p *Packet, owner int) error {
	segment := p.Segment
	if segment <= 0 || segment >= len(p.Data) {
		segment = 0
	}
	if segment > 0 && w.socket.noSegment.Load() {
		for rest := p.Data; len(rest) > 0; {
			n := min(segment, len(rest))
			if err := w.push(p, rest[:n], 0, owner); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
	return w.push(p, p.Data, segment, owner)
}

func (w *writer) push(p *Packet, data []byte, segment, owner int) error {
	i := w.n
	h := &w.headers[i].Hdr
	h.Namelen = putName(&w.names[i], p.Remote)
	n := 0
	w.controls[i].putLocal(&n, p.Local.Addr())
	w.whole[i] = n
	if segment > 0 {
		w.controls[i].putSegment(&n, segment)
	}
	w.setControl(i, n)
	w.setData(i, data)
	w.owner[i] = owner
	if w.n++; w.n == batchLen {
		return w.flush()
	}
	return nil
}

func (w *writer) setControl(i, n int) {
	h := &w.headers[i].Hdr
	h.Control = nil
	if n > 0 {
		h.Control = &w.controls[i].b[0]
	}
	h.SetControllen(n)
}

// send hands the messages from at on to the kernel, which takes as many as it
// can.
func (w *writer) send(at int) error {
	w.at = at
	return w.socket.raw.Control(w.write)
}

func (w *writer) flush() error {
	defer func() { w.n = 0 }()
	for at := 0; at < w.n; {
		if err := w.send(at); err != nil {
			return err
		}
		switch w.errno {
		case 0:
			at += w.sent
		case unix.EAGAIN, unix.ENOBUFS:
			for ; at < w.n; at++ {
				w.lose(at)
			}
		default:
			if err := w.retry(at); err != nil {
				return err
			}
			at++
		}
	}
	return nil
}

// retry gives a train that the kernel refused another chance, datagram by
// datagram. EIO says that the way out has no checksum offload, which cutting
// needs; EMSGSIZE and EINVAL that the segments do not fit.
func (w *writer) retry(i int) error {
	train := int(w.headers[i].Hdr.Controllen) != w.whole[i]
	if !train || w.errno != unix.EIO && w.errno != unix.EMSGSIZE && w.errno != unix.EINVAL {
		w.lose(i)
		return nil
	}
	if w.errno == unix.EIO {
		w.socket.noSegment.Store(true)
	}
	return w.split(i)
}

// split sends the datagrams of train i one by one.
func (w *writer) split(i int) error {
	segment, data := w.controls[i].segment(w.whole[i]), w.data(i)
	w.setControl(i, w.whole[i])
	n := w.n
	w.n = i + 1
	defer func() { w.n = n }()
	for len(data) > 0 {
		k := min(segment, len(data))
		w.setData(i, data[:k])
		if err := w.send(i); err != nil {
			return err
		}
		if w.errno != 0 {
			w.lose(i)
		}
		data = data[k:]
	}
	return nil
}

func (w *writer) lose(i int) {
	if w.owner[i] != w.lastLost {
		w.lastLost = w.owner[i]
		w.lost++
	}
}
