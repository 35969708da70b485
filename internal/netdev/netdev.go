package netdev

// HeadRoom is how many bytes a Packet needs in front of Off, whichever way it
// goes: devices keep their own headers there. A TAP's are the longest.
const HeadRoom = 24

// Packet is one IP packet, or one super-packet, that is read from or written
// to a device: Buf[Off:End]. A Segment above 0 says that it stands for several,
// of TCP or UDP, with that many bytes of payload each behind HeaderLen bytes of
// headers; the last may be shorter, and packet.Cutter makes them. If CsumStart is
// above 0 the transport header begins there, and packet.CompleteChecksum is
// still to be called with CsumOffset. All are in bytes.
type Packet struct {
	Buf                   []byte
	Off, End              int // Off is at least HeadRoom
	Segment, HeaderLen    int
	CsumStart, CsumOffset int // from Off
}

// Room is where packets are read to, one behind another: each gets Head bytes
// in front of it and Tail bytes behind it that are the caller's. Head is at
// least HeadRoom.
type Room struct {
	Buf        []byte
	Head, Tail int
}

// MaxPacket is the length in bytes of the longest packet or super-packet.
const MaxPacket = 65535

// Len is how much a packet may take of Buf.
func (r Room) Len() int { return r.Head + MaxPacket + r.Tail }

// take cuts the room for one packet off, as much as its length turned out to
// need. The packet, of n bytes, begins at Head.
func (r *Room) take(n int) Packet {
	end := r.Head + n + r.Tail
	p := Packet{Buf: r.Buf[:end:end], Off: r.Head, End: r.Head + n}
	r.Buf = r.Buf[end:]
	return p
}

// Queue is one queue of a device. One goroutine reads at a time, any number
// write. Close of the device unblocks them.
type Queue interface {
	// Read waits for packets and calls handle with how many it read, over and
	// over, until handle returns false or something fails. A batch ends when no
	// more packets are there, packets is full, or less than room.Len() is left.
	// Each packet's Buf is its part of room.Buf, which every batch has anew, and
	// Off is room.Head. It returns io.ErrShortBuffer if room has no place for one.
	// Read calls handle, instead of returning, to save a system call a batch: see udp.Conn,
	// also about Close.
	Read(room Room, packets []Packet, handle func(n int) bool) error

	// WriteBatch writes packets, those of each flow in order, and never blocks:
	// what the device does not take is dropped. It returns how many were written.
	// What lies in front of Off is overwritten, and the headers of packets that
	// were joined are, too. An error means that the device is closed.
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
