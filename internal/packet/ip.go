package packet

import (
	"encoding/binary"
	"net/netip"
)

// Protocol numbers.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ESP    = 50
	ICMPv6 = 58
)

const (
	minHeader4 = 20
	header6    = 40

	flagDF     = 0x4000
	flagMF     = 0x2000
	offsetMask = 0x1fff // in units of 8 bytes
)

// IP is what the data path reads in an IP header. Lengths are in bytes.
type IP struct {
	Src, Dst  netip.Addr
	Protocol  uint8
	HeaderLen int
	Len       int // of the whole packet, as its header says
	Offset    int // of this fragment in the whole payload, 0 for the first
	More      bool
	DF        bool // do not fragment; always for IPv6
}

// Is4 reports whether the packet is IPv4.
func (h *IP) Is4() bool { return h.Src.Is4() }

// Parse reads the header of an IPv4 or IPv6 packet. It fails unless the whole
// packet is there; b may be longer.
func Parse(b []byte) (IP, bool) {
	if len(b) < minHeader4 {
		return IP{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b)
	case 6:
		return parse6(b)
	default:
		return IP{}, false
	}
}

// parse4 reads an IPv4 header (RFC 791, section 3.1).
func parse4(b []byte) (IP, bool) {
	fragment := binary.BigEndian.Uint16(b[6:])
	h := IP{
		HeaderLen: int(b[0]&15) * 4,
		Len:       int(binary.BigEndian.Uint16(b[2:])),
		Protocol:  b[9],
		Offset:    int(fragment&offsetMask) * 8,
		More:      fragment&flagMF != 0,
		DF:        fragment&flagDF != 0,
		Src:       netip.AddrFrom4([4]byte(b[12:])),
		Dst:       netip.AddrFrom4([4]byte(b[16:])),
	}
	return h, h.HeaderLen >= minHeader4 && h.HeaderLen <= h.Len && h.Len <= len(b)
}

// parse6 reads an IPv6 header (RFC 8200, section 3).
func parse6(b []byte) (IP, bool) {
	if len(b) < header6 {
		return IP{}, false
	}
	h := IP{
		HeaderLen: header6,
		Len:       header6 + int(binary.BigEndian.Uint16(b[4:])),
		Protocol:  b[6],
		DF:        true,
		Src:       netip.AddrFrom16([16]byte(b[8:])),
		Dst:       netip.AddrFrom16([16]byte(b[24:])),
	}
	return h, h.Len <= len(b)
}
