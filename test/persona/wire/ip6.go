package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPv6Packet encodes an IPv6 packet without extension headers.
func IPv6Packet(src, dst netip.Addr, next, hops byte, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0, 0, 0, next, hops}
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(b, payload...)
}

// SumICMPv6 fills in the checksum of a packet that contains an ICMPv6 message.
func SumICMPv6(b []byte) {
	b[42], b[43] = 0, 0
	binary.BigEndian.PutUint16(b[42:], ^uint16(sum6(b)))
}

// HonestICMPv6 reports whether the checksum is correct (RFC 4443 section 2.3).
func HonestICMPv6(b []byte) bool { return sum6(b) == 0xffff }

func sum6(b []byte) uint32 {
	return sum(sum(58+uint32(len(b)-40), b[8:40]), b[40:])
}

// IPv6 encodes the datagram in an IPv6 packet, where a checksum is mandatory.
func (u UDP) IPv6(hops byte) []byte {
	return IPv6Packet(u.Src.Addr(), u.Dst.Addr(), 17, hops, u.Segment(true))
}
