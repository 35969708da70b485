package packet

import (
	"encoding/binary"
	"math/bits"
)

//go:generate go run -C gen . -out ../sum_amd64.s -stubs ../sum_amd64.go -pkg packet

// smallSum is how many bytes are summed up here and not by a kernel: the call
// would cost more than it saves.
const smallSum = 160

// Sum adds b, padded to an even length, to a ones' complement sum (RFC 1071).
// Every part but the last must have an even length.
func Sum(sum uint64, b []byte) uint64 {
	var add uint64
	if len(b) < smallSum {
		add = sumWords(b)
	} else {
		add = sumKernel(b)
	}
	return addSum(sum, add)
}

// copySum copies len(dst) bytes of src, and returns their sum.
func copySum(dst, src []byte) uint64 {
	src = src[:len(dst)]
	if len(dst) < smallSum {
		copy(dst, src)
		return addSum(0, sumWords(src))
	}
	return addSum(0, copySumKernel(dst, src))
}

// addSum adds a sum of words in the order of the machine to one in that of the
// network. RFC 1071, section 2 (B): the sum of swapped bytes is the swapped sum.
func addSum(sum, words uint64) uint64 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], ^Fold(words))
	sum, carry := bits.Add64(sum, uint64(binary.BigEndian.Uint16(b[:])), 0)
	return sum + carry
}

// sumWords sums b up as 64-bit words in the order of the machine. The last
// byte is padded by a zero. A sum that has just carried is not all ones, and so the
// last carry makes no other.
func sumWords(b []byte) uint64 {
	var sum, carry uint64
	for len(b) >= 64 {
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b), 0)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[24:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[32:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[40:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[48:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[56:]), carry)
		sum += carry
		b = b[64:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b), 0)
		sum += carry
		b = b[8:]
	}
	var rest uint64
	if len(b) >= 4 {
		rest = uint64(binary.NativeEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		rest += uint64(binary.NativeEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		rest += uint64(binary.NativeEndian.Uint16([]byte{b[0], 0}))
	}
	sum, carry = bits.Add64(sum, rest, 0)
	return sum + carry
}
