package main

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/adit-vpn/adit/internal/udp"
)

// plain is a socket whose datagrams have no checksum, as RFC 3948, section 2.1,
// recommends, and are sent one by one: the kernel cannot send datagrams without a
// checksum as a train.
type plain struct {
	*udp.Socket
	rooms sync.Pool // of *[]udp.Packet
}

func newPlain(s *udp.Socket) (*plain, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	var serr error
	if err := raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	}); err != nil {
		return nil, err
	}
	if serr != nil {
		return nil, fmt.Errorf("SO_NO_CHECK: %w", serr)
	}
	return &plain{Socket: s}, nil
}

// WriteBatch implements udp.Conn.
func (p *plain) WriteBatch(packets []udp.Packet) (int, error) {
	room, ok := p.rooms.Get().(*[]udp.Packet)
	if !ok {
		room = new([]udp.Packet)
	}
	defer p.rooms.Put(room)
	all := (*room)[:0]
	for i := range packets {
		all = cut(all, packets[i])
	}
	*room = all
	if _, err := p.Socket.WriteBatch(all); err != nil {
		return 0, err
	}
	return len(packets), nil
}

// cut appends the single datagrams of a train.
func cut(all []udp.Packet, p udp.Packet) []udp.Packet {
	if p.Segment == 0 {
		return append(all, p)
	}
	for rest := p.Data; len(rest) > 0; {
		n := min(p.Segment, len(rest))
		all = append(all, udp.Packet{Data: rest[:n], Local: p.Local, Remote: p.Remote})
		rest = rest[n:]
	}
	return all
}
