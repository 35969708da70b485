package packet

import "encoding/binary"

const (
	flagFIN = 0x01
	flagRST = 0x04
	flagPSH = 0x08
	flagCWR = 0x80

	headerUDP = 8
)

// Cutter cuts a TCP or UDP super-packet, as a device with vnet headers hands it
// over, into the packets that it stands for, as a network card would: each with
// its lengths, its IPv4 identification (one more than that of the packet
// before) and complete checksums. FIN and PSH are on the last TCP segment alone,
// CWR (RFC 3168, section 6.1.2) is on the first alone. Everything else, with all
// options, is on every one.
//
// The zero Cutter has nothing to cut. The super-packet is read, not changed,
// until the last call of Next.
type Cutter struct {
	b       []byte
	segment int // payload bytes of each but the last
	ip      int // length of the IP headers, extensions included
	head    int // of all headers
	at      int // where the next segment's payload begins
	count   int // segments that were cut

	tcp   bool
	four  bool
	sums  bool // the transport checksum is there
	flags byte
	seq   uint32
	ipSum uint64 // of what is the same in every IPv4 header
	sum   uint64 // of what is the same in every transport header and its pseudo-header
	id    uint16
}

// Reset begins with the super-packet b, an IP packet of at most 65,535 bytes, of
// which each segment carries that many bytes of payload, and the last the
// rest. It reports whether that can be cut: not if b is fragmented,
// malformed, neither TCP nor UDP, or has an IPv6 header that changes what
// the checksum is over.
func (c *Cutter) Reset(b []byte, segment int) bool {
	*c = Cutter{}
	protocol, ip, end, ok := transport(b)
	if !ok || segment <= 0 {
		return false
	}
	b = b[:end]
	c.tcp, c.four, c.ip, c.segment = protocol == TCP, b[0]>>4 == 4, ip, min(segment, len(b))
	if !c.transport(b[ip:]) {
		*c = Cutter{}
		return false
	}
	c.b, c.at = b, c.head
	if c.four {
		c.id = binary.BigEndian.Uint16(b[4:])
		c.ipSum = fold32(Sum(Sum(Sum(0, b[:2]), b[6:10]), b[12:ip]))
		c.sum += fold32(Sum(0, b[12:20]))
	} else {
		c.sum += fold32(Sum(0, b[8:header6]))
	}
	c.sum += uint64(protocol)
	return true
}

// transport reads the header of t, and sums up what does not change in it.
func (c *Cutter) transport(t []byte) bool {
	if !c.tcp {
		if len(t) < headerUDP {
			return false
		}
		c.head = c.ip + headerUDP
		// RFC 768: 0 means that there is none.
		c.sums = !c.four || t[6] != 0 || t[7] != 0
		c.sum = fold32(Sum(0, t[:4]))
		return true
	}
	if len(t) < minHeaderTCP {
		return false
	}
	n := int(t[12]>>4) * 4
	c.flags = t[13]
	if n < minHeaderTCP || n > len(t) || c.flags&(flagSYN|flagRST) != 0 && len(t)-n > c.segment {
		return false
	}
	c.head = c.ip + n
	c.sums = true
	c.seq = binary.BigEndian.Uint32(t[4:])
	c.sum = fold32(Sum(Sum(Sum(Sum(0, t[:4]), t[8:12]), t[14:16]), t[18:n])) + uint64(t[12])<<8
	return true
}

// fold32 makes a sum small enough to add some billions of others to it.
func fold32(sum uint64) uint64 { return sum>>32 + sum&0xffffffff }

// Len is the length in bytes of the IP packets that Next makes, of all but the
// last: that may be shorter.
func (c *Cutter) Len() int { return min(c.head+c.segment, len(c.b)) }

// Segments is how many there are in all.
func (c *Cutter) Segments() int {
	if c.b == nil {
		return 0
	}
	return max(1, (len(c.b)-c.head+c.segment-1)/c.segment)
}

// Next copies the next segment to dst and returns its length, 0 when there is
// none left or dst is too short for it.
func (c *Cutter) Next(dst []byte) int {
	payload := min(c.segment, len(c.b)-c.at)
	n := c.head + payload
	if c.b == nil || c.count > 0 && payload <= 0 || len(dst) < n {
		return 0
	}
	dst = dst[:n]
	copy(dst, c.b[:c.head])
	sum := c.sum
	if c.sums {
		sum += fold32(copySum(dst[c.head:], c.b[c.at:]))
	} else {
		copy(dst[c.head:], c.b[c.at:])
	}
	last := c.at+payload == len(c.b)
	c.putIP(dst)
	if c.tcp {
		c.putTCP(dst[c.ip:], sum, last)
	} else {
		c.putUDP(dst[c.ip:], sum)
	}
	c.at += payload
	c.count++
	return n
}

func (c *Cutter) putIP(b []byte) {
	if !c.four {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-header6))
		return
	}
	id := c.id + uint16(c.count)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[10:], Fold(c.ipSum+uint64(len(b))+uint64(id)))
}

func (c *Cutter) putTCP(t []byte, sum uint64, last bool) {
	flags := c.flags
	if !last {
		flags &^= flagFIN | flagPSH
	}
	if c.count > 0 {
		flags &^= flagCWR
	}
	seq := c.seq + uint32(c.at-c.head)
	binary.BigEndian.PutUint32(t[4:], seq)
	t[13] = flags
	sum += uint64(len(t)) + uint64(seq) + uint64(flags)
	binary.BigEndian.PutUint16(t[16:], Fold(sum))
}

func (c *Cutter) putUDP(t []byte, sum uint64) {
	binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
	if !c.sums {
		return
	}
	sum += 2 * uint64(len(t)) // in the pseudo-header, too
	binary.BigEndian.PutUint16(t[6:], nonzero(Fold(sum)))
}

// nonzero writes a checksum of 0 in its other way: RFC 768 lets 0 mean that
// there is none.
func nonzero(sum uint16) uint16 {
	if sum == 0 {
		return 0xffff
	}
	return sum
}

// HeadersLen is the length in bytes of all headers of an unfragmented TCP or UDP
// packet, 0 of anything else.
func HeadersLen(b []byte) int {
	protocol, at, end, ok := transport(b)
	switch {
	case !ok:
		return 0
	case protocol == UDP && end-at >= headerUDP:
		return at + headerUDP
	case protocol == TCP && end-at >= minHeaderTCP:
		if n := int(b[at+12]>>4) * 4; n >= minHeaderTCP && n <= end-at {
			return at + n
		}
	}
	return 0
}

// transport finds the TCP or UDP header of a packet: its protocol, where it
// begins and where the packet ends. It fails for fragments, and for what is
// not whole.
func transport(b []byte) (protocol byte, at, end int, ok bool) {
	if len(b) < minHeader4 {
		return 0, 0, 0, false
	}
	switch b[0] >> 4 {
	case 4:
		at, end = int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		whole := binary.BigEndian.Uint16(b[6:])&(flagMF|offsetMask) == 0
		ok = whole && at >= minHeader4 && at <= end && end <= len(b) && (b[9] == TCP || b[9] == UDP)
		return b[9], at, end, ok
	case 6:
		return transport6(b)
	}
	return 0, 0, 0, false
}

const (
	hopByHop    = 0
	destination = 60
)

// transport6 follows those extension headers of IPv6 (RFC 8200, section 4) that
// leave the addresses and the payload as they are.
func transport6(b []byte) (protocol byte, at, end int, ok bool) {
	if len(b) < header6 {
		return 0, 0, 0, false
	}
	at, end = header6, header6+int(binary.BigEndian.Uint16(b[4:]))
	if end > len(b) {
		return 0, 0, 0, false
	}
	for protocol = b[6]; protocol == hopByHop || protocol == destination; {
		if at+8 > end {
			return 0, 0, 0, false
		}
		protocol, at = b[at], at+(int(b[at+1])+1)*8
	}
	return protocol, at, end, at <= end && (protocol == TCP || protocol == UDP)
}

// CompleteChecksum makes the partial checksum of a packet whole: at an offset
// from where the transport header begins lies the sum of the pseudo-header, and
// is replaced by the checksum of everything from there. It reports whether both
// lie within b.
func CompleteChecksum(b []byte, start, offset int) bool {
	if start < 0 || offset < 0 || start > len(b) || offset > len(b)-start-2 {
		return false
	}
	binary.BigEndian.PutUint16(b[start+offset:], nonzero(Checksum(b[start:])))
	return true
}
