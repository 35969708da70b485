package udp

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchLen is how many messages go into one system call.
const batchLen = 128

// Socket is a Conn of the kernel.
type Socket struct {
	conn      packetConn
	raw       syscall.RawConn
	bound     netip.AddrPort
	reader    reader
	writers   sync.Pool   // of *writer
	noSegment atomic.Bool // the way out has no checksum offload, or knows no trains
	headers   bool        // what is read begins with the IPv4 header
}

// packetConn is a *net.UDPConn or a *net.IPConn.
type packetConn interface {
	syscall.Conn
	Close() error
}

var _ Conn = (*Socket)(nil)

// messages are datagrams or trains as the kernel wants them described.
type messages struct {
	headers  [batchLen]unix.Mmsghdr
	iovecs   [batchLen][2]unix.Iovec
	names    [batchLen]unix.RawSockaddrInet6 // has room for IPv4's
	controls [batchLen]control
}

func (m *messages) init() {
	for i := range m.headers {
		h := &m.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&m.names[i]))
		h.Iov = &m.iovecs[i][0]
		h.SetIovlen(1)
	}
}

func (m *messages) setData(i int, b []byte) {
	m.iovecs[i][0].Base = unsafe.SliceData(b)
	m.iovecs[i][0].SetLen(len(b))
}

// setRooms lets message i run over from one room into another: over the
// beginning of the second as if the first lay there.
func (m *messages) setRooms(i int, first, second []byte) {
	m.setData(i, first)
	n := 1
	if len(second) > len(first) {
		second = second[len(first):]
		m.iovecs[i][1].Base = unsafe.SliceData(second)
		m.iovecs[i][1].SetLen(len(second))
		n = 2
	}
	m.headers[i].Hdr.SetIovlen(n)
}

// call is recvmmsg or sendmmsg on messages i to n. It does not wait, so that the
// scheduler is not told of it: that takes a processor away from a goroutine
// whose call it finds still running after some microseconds, and a batch takes
// longer. To get it back costs as much again as the call.
func (m *messages) call(trap, fd uintptr, i, n int) (int, syscall.Errno) {
	for {
		done, _, errno := unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&m.headers[i])), uintptr(n-i), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(done), errno
		}
	}
}

func newSocket(conn packetConn, addr netip.AddrPort) (*Socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	s := &Socket{conn: conn, raw: raw, bound: addr}
	if err := raw.Control(s.probe); err != nil {
		_ = conn.Close()
		return nil, err
	}
	s.reader.init()
	s.writers.New = func() any { return newWriter(s) }
	return s, nil
}

// probe finds out whether the kernel cuts trains. One that does not know them
// ignores the length of their segments, and would send a train as one datagram.
func (s *Socket) probe(fd uintptr) {
	_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	s.noSegment.Store(err != nil)
}

// Bound is the address that the socket is bound to.
func (s *Socket) Bound() netip.AddrPort { return s.bound }

// Close implements Conn.
func (s *Socket) Close() error { return s.conn.Close() }

// reader is what ReadBatch works with. The poller is given one function for
// the life of the socket, which finds its arguments here.
type reader struct {
	messages
	want, got int
	errno     syscall.Errno
	read      func(fd uintptr) bool
}

func (r *reader) init() {
	r.messages.init()
	r.read = func(fd uintptr) bool {
		r.got, r.errno = 0, 0
		for r.errno == 0 && r.got < r.want && !r.train() {
			r.errno = r.take(fd)
		}
		if r.got > 0 {
			r.errno = 0
			return true
		}
		return r.errno != unix.EAGAIN // else wait for the poller
	}
}

// take reads what is there, as far as there is room. ReadBatch has it do so
// until nothing is there: the first datagram of a burst wakes the reader, and
// the others come while it is read.
func (r *reader) take(fd uintptr) syscall.Errno {
	for {
		n, errno := r.call(unix.SYS_RECVMMSG, fd, r.got, r.want)
		switch errno {
		case 0:
			r.got += n
		case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN, unix.EPROTO, unix.EMSGSIZE:
			continue // an ICMP error for something sent: it is gone once read
		}
		return errno
	}
}

// train reports whether the last message read is a train, by its running over
// into the second room. It is a burst by itself.
func (r *reader) train() bool {
	return r.got > 0 && uint64(r.headers[r.got-1].Len) > r.iovecs[r.got-1][0].Len
}

// ReadBatch implements Conn.
func (s *Socket) ReadBatch(packets []Packet) (int, error) {
	r := &s.reader
	r.want = min(len(packets), batchLen)
	if r.want == 0 {
		return 0, nil
	}
	for i := range r.want {
		h := &r.headers[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.Control = &r.controls[i].b[0]
		h.SetControllen(len(r.controls[i].b))
		r.setRooms(i, packets[i].Data, packets[i].Long)
	}
	if err := s.raw.Read(r.read); err != nil {
		return 0, err
	}
	if r.errno != 0 {
		return 0, r.errno
	}
	for i := range r.got {
		s.received(&packets[i], i)
	}
	return r.got, nil
}

func (s *Socket) received(p *Packet, i int) {
	h := &s.reader.headers[i]
	switch n := int(h.Len); {
	case h.Hdr.Flags&unix.MSG_TRUNC != 0:
		p.Data = p.Data[:0]
	case n > len(p.Data):
		copy(p.Long, p.Data)
		p.Data = p.Long[:n]
	default:
		p.Data = p.Data[:n]
	}
	if s.headers {
		p.Data = p.Data[ipv4HeaderLen(p.Data):]
	}
	p.Remote = getName(&s.reader.names[i])
	local, segment := s.reader.controls[i].parse(int(h.Hdr.Controllen))
	if !local.IsValid() {
		local = s.bound.Addr()
	}
	p.Local = netip.AddrPortFrom(local, s.bound.Port())
	p.Segment = 0
	if segment > 0 && segment < len(p.Data) {
		p.Segment = segment
	}
}

// ipv4HeaderLen is the length of the header that b begins with.
func ipv4HeaderLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	return min(int(b[0]&15)*4, len(b))
}

func getName(n *unix.RawSockaddrInet6) netip.AddrPort {
	if n.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), swap(four.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(n.Addr), swap(n.Port))
}

// putName writes an address and returns its length.
func putName(n *unix.RawSockaddrInet6, to netip.AddrPort) uint32 {
	if addr := to.Addr().Unmap(); addr.Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(to.Port()), Addr: addr.As4()}
		return unix.SizeofSockaddrInet4
	}
	*n = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(to.Port()), Addr: to.Addr().As16()}
	return unix.SizeofSockaddrInet6
}

// swap converts between a number and its two bytes in network order.
func swap(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}
