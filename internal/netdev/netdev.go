package netdev

// Packet is one IP packet, or one super-packet, that is read from or written
// to a device: Buf[Off:End]. Segment, HeaderLen, CsumStart and CsumOffset
// mirror the vnet header; Segment 0 means an ordinary packet whose checksums
// are complete unless CsumStart is set.
type Packet struct {
	Buf                   []byte
	Off, End              int
	Segment, HeaderLen    int
	CsumStart, CsumOffset int // from Off
}

// Queue is one queue of a device. One goroutine reads and one writes at a
// time. Close of the device unblocks both.
type Queue interface {
	// ReadBatch blocks for at least one packet. The caller provides Buf and
	// Off, the head room to leave; End is set.
	ReadBatch(packets []Packet) (int, error)

	// WriteBatch writes packets in order and never blocks.
	WriteBatch(packets []Packet) (int, error)

	Close() error
}

// Device is where decapsulated IP goes.
type Device interface {
	Name() string
	MTU() int
	Queues() []Queue
	Close() error
}
