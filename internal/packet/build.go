package packet

import (
	"encoding/binary"
	"net/netip"
)

// HeaderLen is how many bytes the IP header of Put takes, by family.
func HeaderLen(a netip.Addr) int {
	if a.Is4() {
		return minHeader4
	}
	return header6
}

// Put writes the IP header, without options, of the whole packet b, whose
// payload begins at HeaderLen. Both addresses are of one family.
func Put(b []byte, protocol, hops uint8, src, dst netip.Addr) {
	if src.Is4() {
		clear(b[:minHeader4])
		put4(b, len(b), protocol, src, dst)
		b[8] = hops
		binary.BigEndian.PutUint16(b[10:], 0)
		binary.BigEndian.PutUint16(b[10:], Checksum(b[:minHeader4]))
		return
	}
	clear(b[:header6])
	put6(b, len(b)-header6, protocol, src, dst)
	b[7] = hops
}

// PutSum writes the checksum, at an offset, of a UDP, TCP or ICMPv6 message.
func PutSum(b []byte, at int, protocol uint8, src, dst netip.Addr) {
	binary.BigEndian.PutUint16(b[at:], 0)
	sum := Fold(Sum(PseudoSum(src, dst, protocol, len(b)), b))
	if sum == 0 && protocol == UDP {
		sum = 0xffff // RFC 768: 0 means that there is none
	}
	binary.BigEndian.PutUint16(b[at:], sum)
}
