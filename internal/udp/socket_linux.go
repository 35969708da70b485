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
	s.reader.read = s.readSome
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

// reader is what Read works with. The poller is given one function for the life
// of the socket, which finds its arguments here.
type reader struct {
	messages
	packets []Packet // to be filled
	ready   int      // how many of them, and of those behind them, are described
	handle  func(n int) []Packet
	over    bool          // Read ends
	errno   syscall.Errno // and why
	read    func(fd uintptr) bool
}

// Read implements Conn.
func (s *Socket) Read(packets []Packet, handle func(n int) []Packet) error {
	r := &s.reader
	r.packets, r.ready, r.handle, r.errno = nil, 0, handle, 0
	r.over = !r.prepare(packets, 0)
	for !r.over {
		if err := s.raw.Read(r.read); err != nil {
			return err
		}
	}
	if r.errno != 0 {
		return r.errno
	}
	return nil
}

// readSome reads what there is and has it handled. It reports false if nothing
// was left behind, for the poller to wait. If there may be more it leaves the
// poller, which would not hear of Close as long as more comes.
func (s *Socket) readSome(fd uintptr) bool {
	r := &s.reader
	n, errno := r.fill(fd)
	for i := range n {
		s.received(&r.packets[i], i)
	}
	if n > 0 && !r.prepare(r.handle(n), n) {
		r.over = true
		return true
	}
	if n == 0 && errno != 0 && errno != unix.EAGAIN { // behind a datagram it comes again, or is gone
		r.over, r.errno = true, errno
	}
	return errno != unix.EAGAIN
}

// fill reads as much as there is, and there is room for. It returns EAGAIN if
// nothing was left behind.
func (r *reader) fill(fd uintptr) (n int, errno syscall.Errno) {
	for n < len(r.packets) {
		got, errno := r.call(unix.SYS_RECVMMSG, fd, n, len(r.packets))
		switch errno {
		case 0:
		case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN, unix.EPROTO, unix.EMSGSIZE:
			continue // an ICMP error for something sent: it is gone once read
		default:
			return n, errno
		}
		n += got
		// The first datagram of a burst wakes the reader, and the others come while
		// it is read: it is worth asking again. But a train is a burst by itself,
		// and a lone datagram does not wait for others.
		if n < len(r.packets) && (n <= 1 || r.train(n-1)) {
			return n, unix.EAGAIN
		}
	}
	return n, 0
}

// train reports whether message i is a train, by its running over into the
// second room.
func (r *reader) train(i int) bool { return uint64(r.headers[i].Len) > r.iovecs[i][0].Len }

// prepare has packets filled next, and reports whether there are any. Of those
// that it had before only the ones that were filled are described anew: a lone
// datagram does not pay for the burst that may come with it.
func (r *reader) prepare(packets []Packet, filled int) bool {
	packets = packets[:min(len(packets), batchLen)]
	if len(packets) == 0 {
		return false
	}
	if len(r.packets) == 0 || &packets[0] != &r.packets[0] {
		filled, r.ready = 0, 0
	}
	r.packets = packets
	if filled > len(packets) {
		filled, r.ready = len(packets), len(packets)
	}
	for i := range filled {
		r.describe(i)
	}
	for ; r.ready < len(packets); r.ready++ {
		r.describe(r.ready)
	}
	return true
}

// describe tells the kernel of the room of packet i.
func (r *reader) describe(i int) {
	h, p := &r.headers[i].Hdr, &r.packets[i]
	h.Namelen = unix.SizeofSockaddrInet6
	h.Control = &r.controls[i].b[0]
	h.SetControllen(len(r.controls[i].b))
	r.setRooms(i, p.Data, p.Long)
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
