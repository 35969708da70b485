package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// sum adds b to the Internet checksum's sum acc. The checksum is its complement.
func sum(acc uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		acc += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		acc += uint32(b[len(b)-1]) << 8
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return acc
}

// UDP is a UDP datagram with its addresses.
type UDP struct {
	Src, Dst netip.AddrPort
	Payload  []byte
}

// Segment encodes the UDP part. The checksum covers the addresses, or is zero.
func (u UDP) Segment(checksum bool) []byte {
	var b []byte
	for _, v := range []uint16{u.Src.Port(), u.Dst.Port(), uint16(8 + len(u.Payload)), 0} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = append(b, u.Payload...)
	if checksum {
		binary.BigEndian.PutUint16(b[6:], u.checksum(b))
	}
	return b
}

func (u UDP) checksum(segment []byte) uint16 {
	acc := sum(17+uint32(len(segment)), u.Src.Addr().AsSlice())
	acc = sum(acc, u.Dst.Addr().AsSlice())
	c := ^uint16(sum(acc, segment))
	if c == 0 {
		return 0xffff
	}
	return c
}

var errUDP = errors.New("a malformed UDP datagram")

// ParseSegment decodes the UDP part between two addresses. Honest reports that its
// checksum is zero or correct.
func ParseSegment(src, dst netip.Addr, b []byte) (u UDP, honest bool, err error) {
	if len(b) < 8 {
		return u, false, errUDP
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < 8 || n > len(b) {
		return u, false, errUDP
	}
	u = UDP{
		netip.AddrPortFrom(src, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])), b[8:n],
	}
	c := binary.BigEndian.Uint16(b[6:])
	if c == 0 {
		return u, src.Is4(), nil
	}
	zeroed := append([]byte(nil), b[:n]...)
	zeroed[6], zeroed[7] = 0, 0
	return u, u.checksum(zeroed) == c, nil
}

// IPPacket encodes an IPv4 packet without options.
func IPPacket(src, dst netip.Addr, protocol, ttl byte, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, ttl, protocol, 0, 0}
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum(0, b)))
	return append(b, payload...)
}

// IP encodes the datagram in an IPv4 packet.
func (u UDP) IP(ttl byte, checksum bool) []byte {
	return IPPacket(u.Src.Addr(), u.Dst.Addr(), 17, ttl, u.Segment(checksum))
}

// ParseIP decodes an IPv4 packet.
func ParseIP(b []byte) (src, dst netip.Addr, protocol byte, payload []byte, err error) {
	bad := errors.New("a malformed IPv4 packet")
	if len(b) < 20 || b[0]>>4 != 4 {
		return src, dst, 0, nil, bad
	}
	head, n := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || n < head || n > len(b) || sum(0, b[:head]) != 0xffff {
		return src, dst, 0, nil, bad
	}
	src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	return src, dst, b[9], b[head:n], nil
}
