//go:build real

package exact

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// Protocol numbers, and TCP's flags.
const (
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMP6    = 58
	protoDest     = 60
	protoTest     = 253 // RFC 3692

	tcpFIN, tcpSYN, tcpRST, tcpPSH = 0x01, 0x02, 0x04, 0x08
	tcpACK, tcpURG, tcpECE, tcpCWR = 0x10, 0x20, 0x40, 0x80
)

// header is what varies in an IP header.
type header struct {
	src, dst netip.Addr
	protocol byte
	tos, ttl byte
	id       uint16 // IPv4
	fragment uint16 // IPv4: flags and offset as they stand in the header
	options  []byte // IPv4: whole words
	label    uint32 // IPv6
}

const dontFragment = 0x4000

// packet puts an IP header before a payload.
func (h header) packet(payload []byte) []byte {
	if h.src.Is6() {
		b := make([]byte, 40, 40+len(payload))
		binary.BigEndian.PutUint32(b, 6<<28|uint32(h.tos)<<20|h.label&0xfffff)
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		b[6], b[7] = h.protocol, h.ttl
		copy(b[8:], h.src.AsSlice())
		copy(b[24:], h.dst.AsSlice())
		return append(b, payload...)
	}
	n := 20 + len(h.options)
	b := make([]byte, n, n+len(payload))
	b[0], b[1] = byte(0x40|n/4), h.tos
	binary.BigEndian.PutUint16(b[2:], uint16(n+len(payload)))
	binary.BigEndian.PutUint16(b[4:], h.id)
	binary.BigEndian.PutUint16(b[6:], h.fragment)
	b[8], b[9] = h.ttl, h.protocol
	copy(b[12:], h.src.AsSlice())
	copy(b[16:], h.dst.AsSlice())
	copy(b[20:], h.options)
	binary.BigEndian.PutUint16(b[10:], ^sum(b))
	return append(b, payload...)
}

// size is the length of the IP header.
func (h header) size() int {
	if h.src.Is6() {
		return 40
	}
	return 20 + len(h.options)
}

// pseudo is the sum of the pseudo-header of a payload of n bytes.
func (h header) pseudo(n int) uint16 {
	b := append(h.src.AsSlice(), h.dst.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return sum(append(b, 0, 0, 0, h.protocol))
}

// sum is the ones' complement sum of b, a byte at a time (RFC 1071).
func sum(b []byte) uint16 {
	var s uint32
	for i, x := range b {
		if i%2 == 0 {
			s += uint32(x) << 8
		} else {
			s += uint32(x)
		}
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// segment is a TCP header, but for what the IP header says.
type segment struct {
	from, to uint16
	seq, ack uint32
	flags    byte
	window   uint16
	urgent   uint16
	options  []byte // whole words
}

// with puts the header before data, with a checksum.
func (s segment) with(h header, data []byte) []byte {
	b := make([]byte, 20, 20+len(s.options)+len(data))
	binary.BigEndian.PutUint16(b, s.from)
	binary.BigEndian.PutUint16(b[2:], s.to)
	binary.BigEndian.PutUint32(b[4:], s.seq)
	binary.BigEndian.PutUint32(b[8:], s.ack)
	b[12], b[13] = byte((20+len(s.options))/4)<<4, s.flags
	binary.BigEndian.PutUint16(b[14:], s.window)
	binary.BigEndian.PutUint16(b[18:], s.urgent)
	b = append(append(b, s.options...), data...)
	h.protocol = protoTCP
	return finish(h, b, 16)
}

// datagram is a UDP datagram with a checksum.
func datagram(h header, from, to uint16, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(data)))
	h.protocol = protoUDP
	return finish(h, append(b, data...), 6)
}

// finish writes the transport checksum of b at an offset. UDP's is never 0.
func finish(h header, b []byte, at int) []byte {
	b[at], b[at+1] = 0, 0
	s := ^fold(uint32(h.pseudo(len(b))) + uint32(sum(b)))
	if s == 0 && h.protocol == protoUDP {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], s)
	return b
}

func fold(s uint32) uint16 {
	s = s&0xffff + s>>16
	return uint16(s&0xffff + s>>16)
}

// bytes are n random ones.
func bytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, (n+7)/8*8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b[:n]
}

// options are n bytes of TCP options, a multiple of four: real ones, unknown
// ones and padding, in any order. There is no maximum segment size among them,
// which the server would be right to lower.
func options(rng *rand.Rand, n int) []byte {
	var b []byte
	for left := n; left > 0; left = n - len(b) {
		switch k := rng.IntN(6); {
		case k == 0 && left >= 10: // timestamps (RFC 7323)
			b = append(append(b, 8, 10), bytes(rng, 8)...)
		case k == 1 && left >= 10: // selective acknowledgement (RFC 2018)
			b = append(append(b, 5, 10), bytes(rng, 8)...)
		case k == 2 && left >= 3: // window scale
			b = append(b, 3, 3, byte(rng.IntN(15)))
		case k == 3 && left >= 2: // RFC 4727
			m := 2 + rng.IntN(left-1)
			b = append(append(b, 253, byte(m)), bytes(rng, m-2)...)
		case k == 4: // the end: what follows is padding
			return append(b, make([]byte, left)...)
		default:
			b = append(b, 1)
		}
	}
	return b
}
