package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MPPC is one direction of RFC 2118, as sender or as receiver. It works on bits as text, as
// the RFC's tables print them: it is slow, and shares nothing with the server's.
type MPPC struct {
	past  [8192]byte
	known [8192]bool // which of past has held data since the history was empty
	at    int
	count int // of the next packet

	started bool
}

// The bits of the header (RFC 2118 section 3.1).
const (
	MPPCFlushed    = 0x8000
	MPPCFront      = 0x4000
	MPPCCompressed = 0x2000
)

// symbol is a row of a table of RFC 2118 section 4.2: a prefix, how many bits follow, and
// what a value of zero stands for.
type symbol struct {
	prefix string
	bits   int
	base   int
}

var offsets = []symbol{{"1111", 6, 0}, {"1110", 8, 64}, {"110", 13, 320}}

var lengths = []symbol{
	{"0", 0, 3}, {"10", 2, 4}, {"110", 3, 8}, {"1110", 4, 16}, {"11110", 5, 32}, {"111110", 6, 64}, {"1111110", 7, 128},
	{"11111110", 8, 256}, {"111111110", 9, 512}, {"1111111110", 10, 1024}, {"11111111110", 11, 2048}, {"111111111110", 12, 4096},
}

// spell writes a value as the last row that it is not below.
func spell(table []symbol, v int) string {
	best := symbol{base: -1}
	for _, s := range table {
		if v >= s.base && s.base > best.base {
			best = s
		}
	}
	if best.bits == 0 {
		return best.prefix
	}
	return best.prefix + fmt.Sprintf("%0*b", best.bits, v-best.base)
}

// read takes a value from the front of bits.
func read(table []symbol, bits *string) (int, error) {
	for _, s := range table {
		rest, ok := strings.CutPrefix(*bits, s.prefix)
		if !ok || len(rest) < s.bits {
			continue
		}
		v := 0
		if s.bits > 0 {
			n, err := strconv.ParseUint(rest[:s.bits], 2, 16)
			if err != nil {
				return 0, err
			}
			v = int(n)
		}
		*bits = rest[s.bits:]
		return s.base + v, nil
	}
	return 0, errors.New("MPPC: the packet ends within a symbol, or has an invalid one")
}

// Flush empties the history, as a sender does after a Reset-Request.
func (m *MPPC) Flush() {
	m.known, m.at, m.started = [8192]bool{}, 0, false
}

func (m *MPPC) push(b byte) {
	m.past[m.at], m.known[m.at] = b, true
	m.at++
}

// Pack makes a packet of data, which begins with its protocol, with all of the history.
// Without keep the history is emptied before.
func (m *MPPC) Pack(data []byte, keep bool) []byte {
	head := 0
	if !keep || !m.started {
		m.Flush()
		m.started = true
		head |= MPPCFlushed
	}
	if m.at+len(data) > len(m.past) {
		m.at = 0
		head |= MPPCFront
	}
	var bits strings.Builder
	for i := 0; i < len(data); {
		offset, n := m.longest(data[i:])
		if n < 3 {
			n = 1
			if b := data[i]; b < 0x80 {
				fmt.Fprintf(&bits, "%08b", b)
			} else {
				fmt.Fprintf(&bits, "10%07b", b&0x7f)
			}
		} else {
			bits.WriteString(spell(offsets, offset) + spell(lengths, n))
		}
		for _, b := range data[i : i+n] {
			m.push(b)
		}
		i += n
	}
	body := pack(bits.String())
	if len(body) >= len(data) {
		m.Flush() // "The sender must flush the history buffer before compressing any more data"
		body, head = data, head&^(MPPCFront|MPPCCompressed)
	} else {
		head |= MPPCCompressed
	}
	head |= m.count
	m.count = (m.count + 1) % 4096
	return append([]byte{byte(head >> 8), byte(head)}, body...)
}

// longest finds the longest match that ends before what is written over.
func (m *MPPC) longest(data []byte) (offset, n int) {
	for o := 1; o < len(m.past); o++ {
		from, k := m.at-o+len(m.past), 0
		for k < len(data) && k < len(m.past)-1 {
			p := (from + k) % len(m.past)
			var b byte
			switch ahead := k - o; { // of what this match itself writes
			case ahead >= 0:
				b = data[ahead]
			case !m.known[p]:
				b = data[k] + 1
			default:
				b = m.past[p]
			}
			if b != data[k] {
				break
			}
			k++
		}
		if k > n {
			offset, n = o, k
		}
	}
	return offset, n
}

func pack(bits string) []byte {
	bits += strings.Repeat("0", (8-len(bits)%8)%8)
	b := make([]byte, 0, len(bits)/8)
	for ; len(bits) > 0; bits = bits[8:] {
		v, err := strconv.ParseUint(bits[:8], 2, 8)
		if err != nil {
			panic(err) // the bits are ours
		}
		b = append(b, byte(v))
	}
	return b
}

// ErrMPPCCount says that a packet is missing before this one.
var ErrMPPCCount = errors.New("MPPC: the coherency count is not the next one")

// Open returns the data of a packet, which begin with its protocol.
func (m *MPPC) Open(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, errors.New("MPPC: no header")
	}
	head := int(b[0])<<8 | int(b[1])
	count := head & 0xfff
	switch {
	case head&0x1000 != 0:
		return nil, errors.New("MPPC: the bit D is set")
	case head&MPPCFlushed != 0:
		m.Flush()
	case count != m.count:
		return nil, ErrMPPCCount
	}
	m.count = (count + 1) % 4096
	if head&MPPCCompressed == 0 {
		return b[2:], nil
	}
	if head&MPPCFront != 0 {
		m.at = 0
	}
	var text strings.Builder
	for _, v := range b[2:] {
		fmt.Fprintf(&text, "%08b", v)
	}
	bits, start := text.String(), m.at
	for len(bits) >= 8 {
		if err := m.step(&bits); err != nil {
			return nil, err
		}
	}
	return append([]byte(nil), m.past[start:m.at]...), nil
}

// step takes a literal or a match.
func (m *MPPC) step(bits *string) error {
	s := *bits
	n, drop, add := 0, 0, 0
	switch {
	case s[0] == '0':
		n = 8
	case s[1] == '0':
		n, drop, add = 9, 2, 0x80
	}
	if n > 0 {
		if len(s) < n || m.at == len(m.past) {
			return errors.New("MPPC: a literal is cut off, or the history is full")
		}
		v, err := strconv.ParseUint(s[drop:n], 2, 8)
		if err != nil {
			return err
		}
		m.push(byte(int(v) | add))
		*bits = s[n:]
		return nil
	}
	offset, err := read(offsets, bits)
	if err != nil {
		return err
	}
	length, err := read(lengths, bits)
	if err != nil {
		return err
	}
	if offset == 0 || offset >= len(m.past) || m.at+length > len(m.past) {
		return fmt.Errorf("MPPC: a match of %d bytes, %d bytes back, at %d", length, offset, m.at)
	}
	for range length {
		p := (m.at - offset + len(m.past)) % len(m.past)
		if !m.known[p] {
			return errors.New("MPPC: a match of history that was never used")
		}
		m.push(m.past[p])
	}
	return nil
}
