package packet

import "encoding/binary"

const (
	minHeaderTCP = 20
	flagSYN      = 0x02

	optionEnd = 0
	optionNop = 1
	optionMSS = 2
)

// ClampMSS lowers the maximum segment size option of a TCP SYN so that its
// segments fit into IP packets of mtu bytes, and reports whether it did. b is
// the packet that h was parsed from. partial says that its checksum is still
// to be completed.
func ClampMSS(b []byte, h *IP, mtu int, partial bool) bool {
	if h.Protocol != TCP || h.Offset != 0 || h.Len < h.HeaderLen+minHeaderTCP {
		return false
	}
	tcp := b[h.HeaderLen:h.Len]
	if tcp[13]&flagSYN == 0 {
		return false
	}
	limit := mtu - minHeader4 - minHeaderTCP
	if !h.Is4() {
		limit = mtu - header6 - minHeaderTCP
	}
	at := findMSS(tcp)
	if at == 0 || limit <= 0 || int(binary.BigEndian.Uint16(tcp[at:])) <= limit {
		return false
	}
	replace(tcp, at, uint16(limit), 16, partial)
	return true
}

// findMSS returns the offset of the MSS option's value, 0 if there is none.
func findMSS(tcp []byte) int {
	end := min(int(tcp[12]>>4)*4, len(tcp))
	for i := minHeaderTCP; i < end; {
		switch tcp[i] {
		case optionEnd:
			return 0
		case optionNop:
			i++
			continue
		}
		if i+1 >= end {
			return 0
		}
		n := int(tcp[i+1])
		if n < 2 || i+n > end {
			return 0
		}
		if tcp[i] == optionMSS && n == 4 {
			return i + 2
		}
		i += n
	}
	return 0
}
