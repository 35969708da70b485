package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/adit-vpn/adit/internal/netdev"
)

// discardPort is the port to which streams are sent: both ends discard what
// arrives there.
const discardPort = 9

// streamed is the answer to "count": what arrived at the clients.
type streamed struct{ Packets, Bytes uint64 }

// runStream is runClient without a device of the kernel: the clients' packets are
// made as fast as they are accepted, and the packets for them are counted. It
// accepts the commands of runClient, and
//
//	up SIZE   send UDP in IP packets of so many bytes to the server's inside, from each client in turn
//	stop
//	count
func runStream(ctx context.Context, o options) error {
	s := newStream()
	clients, err := o.connect(ctx, s)
	if err != nil {
		return err
	}
	defer clients.close()
	to := netip.AddrPortFrom(o.inside.Masked().Addr().Next(), discardPort)
	return serve(ctx, func(words []string) (any, error) {
		if len(words) == 2 && words[0] == "up" {
			size, err := strconv.Atoi(words[1])
			if err != nil || size < ipLen+udpLen || size > innerMTU {
				return nil, errors.New("no such size")
			}
			s.start(clients.leased, to, size)
			return s.count(), nil
		}
		if len(words) != 1 {
			return nil, errors.New("no such command")
		}
		switch words[0] {
		case "stop":
			s.start(nil, to, 0)
			return s.count(), nil
		case "count":
			return s.count(), nil
		default:
			return clients.answer(words[0])
		}
	})
}

// stream is a device in memory.
type stream struct {
	packets, bytes atomic.Uint64

	mu     sync.Mutex
	ready  *sync.Cond
	send   [][]byte // packets to send, over and over again
	next   int
	closed bool
}

var _ netdev.Device = (*stream)(nil)

func newStream() *stream {
	s := &stream{}
	s.ready = sync.NewCond(&s.mu)
	return s
}

func (s *stream) Name() string           { return "stream" }
func (s *stream) MTU() int               { return innerMTU }
func (s *stream) Queues() []netdev.Queue { return []netdev.Queue{s} }

func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.ready.Broadcast()
	return nil
}

func (s *stream) start(from []netip.Addr, to netip.AddrPort, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send, s.next = nil, 0
	for _, a := range from {
		s.send = append(s.send, datagram(netip.AddrPortFrom(a, discardPort), to, size))
	}
	s.ready.Broadcast()
}

func (s *stream) count() streamed { return streamed{s.packets.Load(), s.bytes.Load()} }

// Read implements netdev.Queue.
func (s *stream) Read(room netdev.Room, packets []netdev.Packet, handle func(n int) bool) error {
	for {
		n, err := s.take(room, packets)
		if err != nil || !handle(n) {
			return err
		}
	}
}

// take waits until there is something to send, and returns how many packets it
// took.
func (s *stream) take(room netdev.Room, packets []netdev.Packet) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.send) == 0 && !s.closed {
		s.ready.Wait()
	}
	if s.closed {
		return 0, net.ErrClosed
	}
	for i := range packets {
		if len(room.Buf) < room.Len() {
			if i == 0 {
				return 0, io.ErrShortBuffer
			}
			return i, nil
		}
		end := room.Head + copy(room.Buf[room.Head:], s.send[s.next])
		packets[i] = netdev.Packet{Buf: room.Buf[: end+room.Tail : end+room.Tail], Off: room.Head, End: end}
		room.Buf = room.Buf[end+room.Tail:]
		s.next = (s.next + 1) % len(s.send)
	}
	return len(packets), nil
}

// WriteBatch implements netdev.Queue.
func (s *stream) WriteBatch(packets []netdev.Packet) (int, error) {
	n := 0
	for i := range packets {
		n += packets[i].End - packets[i].Off
	}
	s.packets.Add(uint64(len(packets)))
	s.bytes.Add(uint64(n))
	return len(packets), nil
}

const (
	ipLen  = 20
	udpLen = 8
)

// datagram is an IPv4 packet of size bytes with UDP in it (RFC 791, RFC 768).
func datagram(from, to netip.AddrPort, size int) []byte {
	b := make([]byte, size)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(size))
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ipLen]))
	u := b[ipLen:]
	binary.BigEndian.PutUint16(u, from.Port())
	binary.BigEndian.PutUint16(u[2:], to.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	sum := append(append([]byte(nil), b[12:20]...), 0, 17, u[4], u[5])
	sum = append(sum, u...)
	if len(sum)%2 != 0 {
		sum = append(sum, 0)
	}
	binary.BigEndian.PutUint16(u[6:], checksum(sum))
	return b
}
