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
// Read may be called from one goroutine at a time, WriteBatch from any number.
// Close unblocks both.
type Conn interface {
	// Read waits for datagrams, fills packets from the front and calls handle with
	// how many it filled, over and over. What handle returns is filled next; nil
	// ends Read, as does an error. If that begins at the same packet as what it returned
	// before, packets that were not filled must be unchanged.
	//
	// Read calls handle, instead of returning, to save a system call a batch: a poller that
	// is entered anew has forgotten what it saw, and the socket must be asked again. Close
	// waits for handle, which must not call it.
	//
	// The caller provides Data with room; it is resliced. What is longer lies
	// whole in Long, where there is one, longer than Data: so rooms for single
	// datagrams can lie close together. A datagram without room comes empty.
	Read(packets []Packet, handle func(n int) []Packet) error

	// WriteBatch sends packets in order and never blocks: what the kernel has
	// no room for is dropped. It returns how many were sent.
	WriteBatch(packets []Packet) (int, error)

	Close() error
}
