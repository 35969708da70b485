package netdev

// HeadRoom is how many bytes a Packet needs in front of Off, whichever way it
// goes: devices keep their own headers there.
const HeadRoom = 16

// Packet is one IP packet, or one super-packet, that is read from or written
// to a device: Buf[Off:End]. Segment, HeaderLen, CsumStart and CsumOffset
// mirror the vnet header; Segment 0 means an ordinary packet whose checksums
// are complete unless CsumStart is set.
type Packet struct {
	Buf                   []byte
	Off, End              int // Off is at least HeadRoom
	Segment, HeaderLen    int
	CsumStart, CsumOffset int // from Off
}

// Queue is one queue of a device. One goroutine reads at a time, any number
// write. Close of the device unblocks them.
type Queue interface {
	// ReadBatch blocks for at least one packet. The caller provides Buf and
	// Off, the head room to leave; End is set.
	ReadBatch(packets []Packet) (int, error)

	// WriteBatch writes packets in order and never blocks: what the device does
	// not take is dropped. It returns how many were written. What lies in front
	// of Off is overwritten. An error means that the device is closed.
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
