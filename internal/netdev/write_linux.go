package netdev

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/packet"
)

// fileWriter is what one WriteBatch works with. A writer takes one of the queue's, or
// makes one if all are in use.
type fileWriter struct {
	packets []Packet
	sent    int
	write   func(fd uintptr)
	joiner  *packet.Coalescer // nil: the device takes no super-packets
	iovecs  []unix.Iovec
}

func newWriter(q *queue) *fileWriter {
	w := new(fileWriter)
	if q.offloads < NoOffloads {
		w.joiner = packet.NewCoalescer(q.offloads < TCPOffloads)
		w.iovecs = make([]unix.Iovec, 0, packet.MaxJoined)
	}
	w.write = func(fd uintptr) { q.writeAll(w, fd) }
	return w
}

func (q *queue) takeWriter() *fileWriter {
	for i := range q.idle {
		if w := q.idle[i].Swap(nil); w != nil {
			return w
		}
	}
	return newWriter(q)
}

func (q *queue) putWriter(w *fileWriter) {
	w.packets = nil
	for i := range q.idle {
		if q.idle[i].CompareAndSwap(nil, w) {
			return
		}
	}
}

// WriteBatch implements Queue.
func (q *queue) WriteBatch(packets []Packet) (int, error) {
	w := q.takeWriter()
	w.packets, w.sent = packets, 0
	err := q.raw.Control(w.write)
	sent := w.sent
	q.putWriter(w)
	if err != nil {
		return 0, net.ErrClosed
	}
	return sent, nil
}

func (q *queue) writeAll(w *fileWriter, fd uintptr) {
	rest := w.packets
	for w.joiner != nil && len(rest) > 1 {
		n := min(len(rest), packet.MaxJoined)
		w.join(fd, rest[:n], q.link)
		rest = rest[n:]
	}
	for i := range rest {
		p := &rest[i]
		b := p.Buf[p.Off-q.link-q.vnet : p.End]
		if q.vnet > 0 {
			p.putVnet(b, q.link)
		}
		if writeNow(fd, b) == 0 {
			w.sent++
		}
	}
}

// join writes packets, those that can be joined as super-packets. What is in front of IP is
// the same for all packets of a flow.
func (w *fileWriter) join(fd uintptr, packets []Packet, link int) {
	c := w.joiner
	c.Reset()
	for i := range packets {
		p := &packets[i]
		if b := p.Buf[p.Off:p.End]; p.Segment > 0 || p.CsumStart > 0 {
			c.PushAlone(b)
		} else {
			c.Push(b)
		}
	}
	for i := range c.Len() {
		j := c.Joined(i)
		p := packets[j.First]
		if j.Count > 1 {
			p.Segment, p.HeaderLen, p.CsumStart, p.CsumOffset = j.Segment, j.HeaderLen, j.CsumStart, j.CsumOffset
		}
		b := p.Buf[p.Off-link-vnetLen : p.End]
		p.putVnet(b, link)
		w.add(b)
		c.Rest(i, w.add)
		if w.flush(fd) {
			w.sent += j.Count
		}
	}
	c.Reset()
}

// add appends to what flush writes.
func (w *fileWriter) add(b []byte) {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	w.iovecs = append(w.iovecs, v)
}

// flush writes everything as one packet, and reports whether the device took it.
func (w *fileWriter) flush(fd uintptr) bool {
	errno := writevNow(fd, w.iovecs)
	clear(w.iovecs)
	w.iovecs = w.iovecs[:0]
	return errno == 0
}
