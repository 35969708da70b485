package compress

import "encoding/binary"

// The header of an MPPC packet (RFC 2118, section 3.1).
const (
	mppcFlushed    = 0x8000 // A: the history was empty before this packet
	mppcAtFront    = 0x4000 // B: the packet stands at the front of the history
	mppcCompressed = 0x2000 // C
	mppcEncrypted  = 0x1000 // D: of MPPE, which is not agreed on
	mppcCount      = 0x0fff

	mppcHistory = 8192

	// The lengths of matches (RFC 2118, section 4.2.2).
	mppcLeast = 3
	mppcMost  = mppcHistory - 1
)

// mppcEncoder compresses single packets, with nothing but the packet for a history.
type mppcEncoder struct {
	places [mppcPlaces]uint16 // where three bytes of this hash were last seen, plus one
}

const (
	mppcHashBits = 11
	mppcPlaces   = 1 << mppcHashBits
)

// mppcTrial is how many bytes of a packet have to become shorter before the rest is tried:
// what is encrypted or compressed already would cost most.
const mppcTrial = 512

// encode compresses src into dst and returns the length, 0 if it does not fit, or does not
// look as if it would. src has at most mppcHistory bytes.
func (e *mppcEncoder) encode(dst, src []byte) int {
	clear(e.places[:])
	w := bitWriter{b: dst}
	last := len(src) - mppcLeast // where a match can begin
	tried := false
	for at := 0; at < len(src); {
		if at >= mppcTrial && !tried {
			if tried = true; w.at >= at {
				return 0
			}
		}
		from, n := 0, 0
		if at <= last {
			from, n = e.match(src, at)
		}
		if n < mppcLeast {
			w.literal(src[at])
			at++
			continue
		}
		w.copy(at-from, n)
		for end := at + n; at < end; at++ {
			if at > last {
				at = end
				break
			}
			e.places[mppcHash(src[at:])] = uint16(at + 1)
		}
		if w.full {
			return 0
		}
	}
	return w.finish()
}

// match finds an earlier place of what stands at at, and takes note of at itself.
func (e *mppcEncoder) match(src []byte, at int) (from, n int) {
	place := &e.places[mppcHash(src[at:])]
	from = int(*place) - 1
	*place = uint16(at + 1)
	if from < 0 {
		return 0, 0
	}
	for n < len(src)-at && n < mppcMost && src[from+n] == src[at+n] {
		n++
	}
	return from, n
}

func mppcHash(b []byte) uint32 {
	return (uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])) * 0x9e3779b1 >> (32 - mppcHashBits)
}

// bitWriter writes bits, the most significant first.
type bitWriter struct {
	b    []byte
	at   int
	acc  uint64 // the last n bits of it are not written yet
	n    uint
	full bool
}

func (w *bitWriter) put(bits uint64, n uint) {
	w.acc, w.n = w.acc<<n|bits, w.n+n
	for w.n >= 8 {
		w.n -= 8
		if w.at == len(w.b) {
			w.full = true
			return
		}
		w.b[w.at] = byte(w.acc >> w.n)
		w.at++
	}
}

// literal writes a byte (RFC 2118, section 4.1).
func (w *bitWriter) literal(b byte) {
	if b < 0x80 {
		w.put(uint64(b), 8)
		return
	}
	w.put(0b10<<7|uint64(b&0x7f), 9)
}

// copy writes that n bytes are those of offset bytes before (RFC 2118, section 4.2).
func (w *bitWriter) copy(offset, n int) {
	switch {
	case offset < 64:
		w.put(0b1111<<6|uint64(offset), 10)
	case offset < 320:
		w.put(0b1110<<8|uint64(offset-64), 12)
	default:
		w.put(0b110<<13|uint64(offset-320), 16)
	}
	if n == mppcLeast {
		w.put(0, 1)
		return
	}
	k := uint(2) // 2^k <= n < 2^(k+1)
	for n>>(k+1) > 0 {
		k++
	}
	w.put(1<<k-2, k) // k-1 ones, and a zero
	w.put(uint64(n)&(1<<k-1), k)
}

// finish pads with zeroes and returns the length, 0 if dst was too short.
func (w *bitWriter) finish() int {
	if w.n > 0 {
		w.put(0, 8-w.n)
	}
	if w.full {
		return 0
	}
	return w.at
}

// mppcDecoder is the history that a peer's packets refer to.
type mppcDecoder struct {
	history [mppcHistory]byte
	at      int // where the next packet goes
	filled  int // how much of the history has ever held data since it was flushed
}

// decode opens a packet into dst. "Initialized history that has not been used for
// compressing data must not be referred to in the compressed packets" (RFC 2118, section
// 3.1).
func (d *mppcDecoder) decode(dst, src []byte) (int, Fault) {
	start := d.at
	r := bitReader{b: src}
	for r.left() >= 8 {
		if d.at-start > len(dst) {
			return 0, TooLong
		}
		n, offset, literal := 1, 0, byte(0)
		switch {
		case r.take(1) == 0:
			literal = byte(r.take(7))
		case r.take(1) == 0:
			literal = 0x80 | byte(r.take(7))
		default:
			offset, n = r.offset(), r.length()
		}
		if r.short || d.at+n > mppcHistory {
			return 0, Damaged
		}
		switch {
		case offset == 0 && n == 1:
			d.history[d.at] = literal
			d.at++
		case !d.copy(offset, n):
			return 0, Damaged
		}
		d.filled = max(d.filled, d.at)
	}
	if d.at-start > len(dst) {
		return 0, TooLong
	}
	return copy(dst, d.history[start:d.at]), Fine
}

// copy repeats n bytes of offset bytes before. They may be ones that it writes itself, and
// ones at the end of the history, from before a packet was moved to its front.
func (d *mppcDecoder) copy(offset, n int) bool {
	if offset == 0 || offset >= mppcHistory {
		return false
	}
	from := d.at - offset
	if from >= 0 && offset >= n {
		d.at += copy(d.history[d.at:d.at+n], d.history[from:])
		return true
	}
	from &= mppcHistory - 1
	for range n {
		if from >= max(d.filled, d.at) {
			return false
		}
		d.history[d.at] = d.history[from]
		d.at++
		from = (from + 1) & (mppcHistory - 1)
	}
	return true
}

// flush empties the history.
func (d *mppcDecoder) flush() { d.at, d.filled = 0, 0 }

// bitReader reads bits, the most significant first.
type bitReader struct {
	b     []byte
	acc   uint64 // the last n bits of it were not taken yet
	n     uint
	short bool // more was taken than there is
}

func (r *bitReader) left() int { return int(r.n) + 8*len(r.b) }

func (r *bitReader) take(n uint) uint64 {
	if r.n < n {
		r.fill()
		if r.n < n {
			r.short = true
			return 0
		}
	}
	r.n -= n
	return r.acc >> r.n & (1<<n - 1)
}

func (r *bitReader) fill() {
	if len(r.b) >= 4 && r.n <= 32 {
		r.acc = r.acc<<32 | uint64(binary.BigEndian.Uint32(r.b))
		r.b, r.n = r.b[4:], r.n+32
		return
	}
	for r.n <= 48 && len(r.b) > 0 {
		r.acc = r.acc<<8 | uint64(r.b[0])
		r.b, r.n = r.b[1:], r.n+8
	}
}

// offset reads what follows two ones.
func (r *bitReader) offset() int {
	switch {
	case r.take(1) == 0:
		return int(r.take(13)) + 320
	case r.take(1) == 0:
		return int(r.take(8)) + 64
	}
	return int(r.take(6))
}

// length reads the length of a match: ones and a zero, and as many bits as there were
// ones and one more.
func (r *bitReader) length() int {
	k := uint(1)
	for r.take(1) == 1 {
		if k++; k > 12 {
			r.short = true
			return 0
		}
	}
	if k == 1 {
		return mppcLeast
	}
	return 1<<k | int(r.take(k))
}
