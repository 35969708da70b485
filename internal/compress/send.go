package compress

import (
	"encoding/binary"
	"sync"
)

// Encoder is the scratch space of what compresses.
type Encoder struct {
	mppc mppcEncoder
	out  fixed
	room [2 * MaxPacket]byte
}

// Sender compresses the packets of a session.
type Sender struct {
	codec Codec

	mu      sync.Mutex
	started bool   // the peer counts what is sent
	count   uint16 // of the next packet

	pause int // how many packets of Deflate go as they are behind a Reset-Ack
	left  int // and how many still do
	run   int // how many were compressed since
}

// A peer with Deflate opens nothing between a loss and our Reset-Ack, though each packet
// of ours could be opened by itself, but it takes what is not compressed. So after each
// Reset-Ack twice as many packets go as they are, until the line is good for some time.
const (
	leastPause = 128
	mostPause  = 4096
)

// NewSender returns a Sender that waits for Start.
func NewSender(c Codec) *Sender { return &Sender{codec: c} }

// Codec is what the Sender compresses by.
func (s *Sender) Codec() Codec { return s.codec }

// Start says that the peer begins with an empty history behind what is sent now: an
// acknowledgement of its request, or a Reset-Ack. Numbers of Deflate begin anew (RFC 1979,
// section 2.1); of MPPC, "This count starts at 0 and is always increased by 1 and NEVER
// decreases" (RFC 2118, section 3.1).
func (s *Sender) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codec.Method == Deflate && s.started {
		s.pause = min(max(2*s.pause, leastPause), mostPause)
		s.left, s.run, s.count = s.pause, 0, 0
	}
	s.started = true
}

// Skip counts a packet that is sent as it is: RFC 1979, section 2.1, has "each packet,
// including uncompressed packets" numbered.
func (s *Sender) Skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codec.Method == Deflate && s.started {
		s.count++
	}
}

// Pack makes a packet that stands at b[at:at+n] behind its protocol, of which b has room
// for two bytes in front, a compressed one in the same place, and returns its length. If
// it returns false, the packet is to be sent as it is, and was counted. Packets must be
// sent in the order of calls. room is how long it may become.
func (s *Sender) Pack(e *Encoder, b []byte, at, n, room int, protocol uint16) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.started:
		return n, false
	case s.codec.Method == Deflate:
		return s.packDeflate(e, b, at, n, protocol)
	}
	return s.packMPPC(e, b, at, n, room, protocol)
}

// packMPPC sends every packet with an empty history: a client that lost one can open the
// next.
func (s *Sender) packMPPC(e *Encoder, b []byte, at, n, room int, protocol uint16) (int, bool) {
	if n+protocolLen > MaxPacket {
		return n, false
	}
	binary.BigEndian.PutUint16(b[at-protocolLen:], protocol)
	src := b[at-protocolLen : at+n]
	head := uint16(mppcFlushed | mppcAtFront | mppcCompressed)
	m := e.mppc.encode(e.room[:len(src)-1], src)
	if m == 0 {
		if HeaderLen+len(src) > room {
			return n, false // packets that did not go through MPPC have no count
		}
		head, m = mppcFlushed, copy(e.room[:], src)
	}
	head |= s.count & mppcCount
	s.count++
	binary.BigEndian.PutUint16(b[at:], head)
	copy(b[at+HeaderLen:], e.room[:m])
	return HeaderLen + m, true
}

// packDeflate leaves packets alone that are longer than the peer's history: a match could
// be, too.
func (s *Sender) packDeflate(e *Encoder, b []byte, at, n int, protocol uint16) (int, bool) {
	count := s.count
	s.count++
	if s.left > 0 {
		s.left--
		return n, false
	}
	if n+1 > 1<<s.codec.Window || n+1 > MaxPacket || protocol > 0xff {
		return n, false
	}
	if s.run++; s.run >= 4*s.pause {
		s.pause, s.run = s.pause/2, 0
	}
	b[at-1] = byte(protocol)
	m := e.deflate(e.room[:], b[at-1:at+n])
	if m == 0 || HeaderLen+m >= n {
		return n, false
	}
	binary.BigEndian.PutUint16(b[at:], count)
	copy(b[at+HeaderLen:], e.room[:m])
	return HeaderLen + m, true
}
