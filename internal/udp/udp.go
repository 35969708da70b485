package udp

import "net/netip"

// Packet is one datagram, or, where Segment is not zero, a train of datagrams
// of Segment bytes each (the last may be shorter) that share their addresses.
type Packet struct {
	Data    []byte // read: set to what was received, within the caller's room
	Long    []byte // read: room for what is longer than Data; nil: there is none
	Segment int
	Local   netip.AddrPort
	Remote  netip.AddrPort
}

// Conn is a batched datagram socket. Every datagram carries both of its
// addresses: a reply leaves from the address that received.
//
// ReadBatch may be called from one goroutine at a time, WriteBatch from any
// number. Close unblocks both.
type Conn interface {
	// ReadBatch blocks until at least one datagram is there and fills packets
	// from the front. The caller provides Data with room; it is resliced. What
	// is longer lies whole in Long, where there is one, longer than Data: so
	// rooms for single datagrams can lie close together. A datagram without room
	// comes empty.
	ReadBatch(packets []Packet) (int, error)

	// WriteBatch sends packets in order and never blocks: what the kernel has
	// no room for is dropped. It returns how many were sent.
	WriteBatch(packets []Packet) (int, error)

	Close() error
}
