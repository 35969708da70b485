package packet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Fold returns the checksum of a sum.
func Fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Checksum is the Internet checksum of b.
func Checksum(b []byte) uint16 { return Fold(Sum(0, b)) }

// PseudoSum is the sum of the pseudo-header of a transport protocol (RFC 9293,
// section 3.1; RFC 8200, section 8.1).
func PseudoSum(src, dst netip.Addr, protocol uint8, length int) uint64 {
	sum := uint64(protocol) + uint64(length)
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		return Sum(Sum(sum, s[:]), d[:])
	}
	s, d := src.As16(), dst.As16()
	return Sum(Sum(sum, s[:]), d[:])
}

// replace changes a word of b at an offset and, unless the checksum at another
// offset is partial, keeps that right (RFC 1624, equation 3).
func replace(b []byte, at int, word uint16, sumAt int, partial bool) {
	old := binary.BigEndian.Uint16(b[at:])
	binary.BigEndian.PutUint16(b[at:], word)
	if partial {
		return
	}
	if at%2 != 0 { // it lies in two words: both sums swap their bytes
		old, word = bits.ReverseBytes16(old), bits.ReverseBytes16(word)
	}
	sum := uint64(^binary.BigEndian.Uint16(b[sumAt:])) + uint64(^old) + uint64(word)
	binary.BigEndian.PutUint16(b[sumAt:], Fold(sum))
}
