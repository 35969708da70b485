package wire

import (
	"encoding/binary"
	"math/bits"
)

// MD4 is the digest of RFC 1320.
func MD4(msg []byte) [16]byte {
	b := append([]byte(nil), msg...)
	b = append(b, 0x80)
	for len(b)%64 != 56 {
		b = append(b, 0)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(msg))*8)
	h := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	for ; len(b) > 0; b = b[64:] {
		h = md4Block(h, b[:64])
	}
	var out [16]byte
	for i, v := range h {
		binary.LittleEndian.PutUint32(out[4*i:], v)
	}
	return out
}

// md4Rounds are the three rounds of RFC 1320 section 3.4: the function, the
// constant, the order of the words and the shifts.
var md4Rounds = [3]struct {
	f     func(x, y, z uint32) uint32
	add   uint32
	words [16]int
	shift [4]int
}{
	{
		func(x, y, z uint32) uint32 { return x&y | ^x&z }, 0,
		[16]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, [4]int{3, 7, 11, 19},
	},
	{
		func(x, y, z uint32) uint32 { return x&y | x&z | y&z }, 0x5a827999,
		[16]int{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}, [4]int{3, 5, 9, 13},
	},
	{
		func(x, y, z uint32) uint32 { return x ^ y ^ z }, 0x6ed9eba1,
		[16]int{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}, [4]int{3, 9, 11, 15},
	},
}

func md4Block(h [4]uint32, b []byte) [4]uint32 {
	a, bb, c, d := h[0], h[1], h[2], h[3]
	for _, r := range md4Rounds {
		for i, w := range r.words {
			x := binary.LittleEndian.Uint32(b[4*w:])
			a = bits.RotateLeft32(a+r.f(bb, c, d)+x+r.add, r.shift[i%4])
			a, bb, c, d = d, a, bb, c
		}
	}
	return [4]uint32{h[0] + a, h[1] + bb, h[2] + c, h[3] + d}
}
