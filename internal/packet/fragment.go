package packet

import "encoding/binary"

// Fragment writes to dst the fragment of an IPv4 packet that begins at an
// offset of its payload and has no more than mtu bytes (RFC 791, section 3.2).
// b is the packet of h. It returns the fragment's length and the offset of the
// next fragment, 0 after the last. A length of 0 means that nothing fits.
//
//	for at := 0; ; {
//		n, next := packet.Fragment(dst, b, &h, mtu, at)
//		...
//		if at = next; at == 0 { break }
//	}
func Fragment(dst, b []byte, h *IP, mtu, at int) (n, next int) {
	payload := h.Len - h.HeaderLen - at
	room := min(mtu, len(dst)) - h.HeaderLen
	if !h.Is4() || payload <= 0 {
		return 0, 0
	}
	last := payload <= room
	if !last {
		payload = room &^ 7
		if payload <= 0 {
			return 0, 0
		}
		next = at + payload
	}
	n = h.HeaderLen + payload
	copy(dst, b[:h.HeaderLen])
	copy(dst[h.HeaderLen:n], b[h.HeaderLen+at:])
	if at > 0 {
		uncopyOptions(dst[minHeader4:h.HeaderLen])
	}
	flags := uint16((h.Offset + at) / 8)
	if !last || h.More {
		flags |= flagMF
	}
	binary.BigEndian.PutUint16(dst[2:], uint16(n))
	binary.BigEndian.PutUint16(dst[6:], flags)
	binary.BigEndian.PutUint16(dst[10:], 0)
	binary.BigEndian.PutUint16(dst[10:], Checksum(dst[:h.HeaderLen]))
	return n, next
}

// uncopyOptions overwrites the options that only the first fragment carries
// (RFC 791, section 3.1: those without the copied flag).
func uncopyOptions(options []byte) {
	for i := 0; i < len(options); {
		n := 1
		if options[i] > optionNop {
			if i+1 >= len(options) || options[i+1] < 2 {
				return
			}
			n = int(options[i+1])
		}
		if options[i]&0x80 == 0 && options[i] != optionEnd {
			for j := i; j < min(i+n, len(options)); j++ {
				options[j] = optionNop
			}
		}
		i += n
	}
}
