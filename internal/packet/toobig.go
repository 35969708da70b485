package packet

import (
	"encoding/binary"
	"net/netip"
)

const (
	icmpHeader = 8

	// How long an error message may be (RFC 1812, section 4.3.2.3; RFC 4443,
	// section 2.4).
	maxError4 = 576
	maxError6 = 1280

	// MaxTooBig is the longest message that TooBig writes.
	MaxTooBig = maxError6
)

// TooBig writes to dst the ICMP message which says that b, the packet of h, is
// longer than mtu: Fragmentation Needed (RFC 1191, section 4) or Packet Too Big
// (RFC 4443, section 3.2). It returns its length, or 0 where no such message
// may be sent, dst is too short, or from is not of the packet's family.
func TooBig(dst, b []byte, h *IP, mtu int, from netip.Addr) int {
	if !from.IsValid() || from.Is4() != h.Is4() || !mayError(b, h) {
		return 0
	}
	head, most := minHeader4, maxError4
	if !h.Is4() {
		head, most = header6, maxError6
	}
	quoted := min(h.Len, most-head-icmpHeader)
	n := head + icmpHeader + quoted
	if len(dst) < n {
		return 0
	}
	clear(dst[:head+icmpHeader])
	icmp := dst[head:n]
	copy(icmp[icmpHeader:], b[:quoted])
	if h.Is4() {
		icmp[0], icmp[1] = 3, 4
		binary.BigEndian.PutUint16(icmp[6:], uint16(mtu))
		binary.BigEndian.PutUint16(icmp[2:], Checksum(icmp))
		put4(dst, n, ICMP, from, h.Src)
		return n
	}
	icmp[0] = 2
	binary.BigEndian.PutUint32(icmp[4:], uint32(mtu))
	binary.BigEndian.PutUint16(icmp[2:], Fold(Sum(PseudoSum(from, h.Src, ICMPv6, len(icmp)), icmp)))
	put6(dst, len(icmp), ICMPv6, from, h.Src)
	return n
}

// Redirect reports whether b, the packet of h, is an ICMP redirect (RFC 792, RFC
// 4861, section 4.5).
func Redirect(b []byte, h *IP) bool {
	if h.Offset != 0 || h.Len <= h.HeaderLen {
		return false
	}
	return h.Protocol == ICMP && h.Is4() && b[h.HeaderLen] == 5 || h.Protocol == ICMPv6 && !h.Is4() && b[h.HeaderLen] == 137
}

// mayError reports whether a packet may be answered with an error (RFC 1122,
// section 3.2.2; RFC 4443, section 2.4 (e)).
func mayError(b []byte, h *IP) bool {
	if h.Offset != 0 || !h.Src.IsValid() || h.Src.IsUnspecified() || h.Src.IsMulticast() || h.Dst.IsMulticast() {
		return false
	}
	if h.Len <= h.HeaderLen {
		return true
	}
	kind := b[h.HeaderLen]
	switch h.Protocol {
	case ICMP:
		return kind != 3 && kind != 4 && kind != 5 && kind != 11 && kind != 12
	case ICMPv6:
		return kind >= 128
	default:
		return true
	}
}

func put4(b []byte, length int, protocol uint8, src, dst netip.Addr) {
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[10:], Checksum(b[:minHeader4]))
}

func put6(b []byte, payload int, protocol uint8, src, dst netip.Addr) {
	b[0], b[6], b[7] = 0x60, protocol, 64
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	s, d := src.As16(), dst.As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
}
