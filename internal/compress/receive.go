package compress

import (
	"encoding/binary"
	"sync"
)

// Decoder is the scratch space of what is opened.
type Decoder struct {
	flate inflater
	out   [MaxPacket + 1]byte
}

// NewDecoder returns a Decoder.
func NewDecoder() *Decoder { return &Decoder{flate: newInflater()} }

// Receiver opens the compressed packets of a session's peer. Two workers may have packets
// of one session at a time, while the session moves from one path to another: each packet
// is opened as a whole, and one that the other worker was faster with counts as lost.
type Receiver struct {
	codec Codec

	mu      sync.Mutex
	started bool
	lost    bool   // nothing can be opened before the history is emptied
	next    uint16 // what the next packet has for its number
	mppc    *mppcDecoder
	window  window
}

// NewReceiver returns a Receiver that waits for Start.
func NewReceiver(c Codec) *Receiver {
	r := &Receiver{codec: c}
	if c.Method == MPPC {
		r.mppc = new(mppcDecoder)
	}
	return r
}

// Codec is what the Receiver opens.
func (r *Receiver) Codec() Codec { return r.codec }

// Start says that the peer has an empty history behind what has come just now: an
// acknowledgement of our request, or a Reset-Ack.
func (r *Receiver) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.codec.Method == Deflate:
		r.next, r.lost = 0, false
		r.window.clear()
	case !r.started:
		r.next, r.lost = 0, false
	}
	r.started = true
}

// Skip takes note of a packet that came as it is, which begins with its protocol field:
// for Deflate, it is part of the history. late says that the packet was overtaken.
func (r *Receiver) Skip(b []byte, late bool) {
	if r.codec.Method != Deflate || late {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started || r.lost {
		return
	}
	r.next++
	if len(b) > 0 && b[0] == 0 { // the history has the short form of the field
		b = b[1:]
	}
	r.window.add(b)
}

// Open opens the packet b, without the protocol field of compressed packets, into dst, and
// returns its length: it begins with its protocol field. dst has room for MaxPacket bytes.
// late says that the packet was overtaken.
func (r *Receiver) Open(d *Decoder, dst, b []byte, late bool) (int, Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		return 0, Unasked
	}
	if len(b) < HeaderLen || len(b) > longest {
		r.lost = true
		return 0, Damaged
	}
	head, data := binary.BigEndian.Uint16(b), b[HeaderLen:]
	n, fault := 0, Fine
	if r.codec.Method == Deflate {
		n, fault = r.openDeflate(d, dst, head, data, late)
	} else {
		n, fault = r.openMPPC(dst, head, data)
	}
	if fault == Fine && n == 0 {
		fault = Damaged // it costs what a packet costs, and is none
	}
	if fault.Resets() {
		r.lost = true
	}
	return n, fault
}

// longest is how long a compressed packet is at most. A longer one could only be made to
// cost more than it opens to.
const longest = MaxPacket + 256

// openMPPC follows RFC 2118, section 4.3: a packet with the FLUSHED bit empties the history
// and sets the count; without it, a packet whose count is not the next one cannot be opened.
func (r *Receiver) openMPPC(dst []byte, head uint16, data []byte) (int, Fault) {
	count := head & mppcCount
	switch {
	case head&mppcEncrypted != 0:
		return 0, Damaged
	case head&mppcFlushed != 0:
		r.mppc.flush()
		r.lost = false
	case r.lost:
		return 0, Lost
	case count != r.next && (count-r.next)&mppcCount > mppcCount/2:
		return 0, Late // overtaken: the history is past it
	case count != r.next:
		return 0, Lost
	}
	r.next = (count + 1) & mppcCount
	if head&mppcCompressed == 0 {
		if len(data) > MaxPacket {
			return 0, TooLong
		}
		return copy(dst, data), Fine
	}
	if head&mppcAtFront != 0 {
		r.mppc.at = 0
	}
	return r.mppc.decode(dst[:MaxPacket], data)
}

// openDeflate follows RFC 1979, section 2.1: "When an unexpected sequence number is
// encountered, the dictionaries must be resynchronized".
//
// Numbers alone do not show what is missing: packets that are sent as they are have none
// and yet count, and after a Reset-Ack all numbers come again. One such packet too many and
// one too few, and a packet would be opened with another history than it was made with. So
// what was overtaken, by ESP's own numbers, counts as lost.
func (r *Receiver) openDeflate(d *Decoder, dst []byte, head uint16, data []byte, late bool) (int, Fault) {
	switch {
	case late:
		return 0, Late
	case r.lost || head != r.next:
		return 0, Lost
	}
	r.next++
	n, fault := d.flate.inflate(d.out[:], data, r.window.bytes())
	if fault != Fine {
		return 0, fault
	}
	r.window.add(d.out[:n])
	return copy(dst, d.out[:n]), Fine
}
