//go:build real

package exact

import (
	"encoding/binary"
	"fmt"
)

// vnet is a virtio header (virtio 1.2, section 5.1.6), as packet sockets and
// TUN devices have it before a packet.
type vnet struct {
	flags, gso          byte
	length, size        uint16 // of the headers, of a segment
	sumStart, sumOffset uint16
}

const (
	vnetLen   = 10
	needsSum  = 1
	gsoNone   = 0
	gsoTCP4   = 1
	gsoTCP6   = 4
	gsoUDP    = 5
	gsoWithCW = 0x80
)

func parseVnet(b []byte) vnet {
	return vnet{
		b[0], b[1], binary.NativeEndian.Uint16(b[2:]), binary.NativeEndian.Uint16(b[4:]),
		binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint16(b[8:]),
	}
}

func (v vnet) bytes() []byte {
	b := []byte{v.flags, v.gso}
	for _, x := range []uint16{v.length, v.size, v.sumStart, v.sumOffset} {
		b = binary.NativeEndian.AppendUint16(b, x)
	}
	return b
}

// cut makes of a packet with a virtio header the packets that it stands for,
// the plain way: each is put together anew, and summed up from the first byte
// to the last.
func cut(v vnet, b []byte) ([][]byte, error) {
	gso := v.gso &^ gsoWithCW
	if gso == gsoNone {
		b = append([]byte(nil), b...)
		if v.flags&needsSum != 0 {
			if err := complete(v, b); err != nil {
				return nil, err
			}
		}
		return [][]byte{b}, nil
	}
	ip, protocol, err := upper(b)
	if err != nil {
		return nil, err
	}
	wantProtocol, head, sumAt := byte(protoTCP), ip, 16
	switch {
	case gso == gsoUDP:
		wantProtocol, sumAt = protoUDP, 6
		head += 8
	case gso == gsoTCP4 && b[0]>>4 == 4, gso == gsoTCP6 && b[0]>>4 == 6:
		head += int(b[ip+12]>>4) * 4
	default:
		return nil, fmt.Errorf("a super-packet of kind %d with IPv%d", gso, b[0]>>4)
	}
	switch {
	case protocol != wantProtocol || head >= len(b) || v.size == 0:
		return nil, fmt.Errorf("a super-packet of kind %d with protocol %d, %d bytes of headers, %d in all, segments of %d", gso, protocol, head, len(b), v.size)
	case v.flags&needsSum == 0 || int(v.sumStart) != ip || int(v.sumOffset) != sumAt:
		return nil, fmt.Errorf("a super-packet's checksum: flags %#x, at %d+%d, want %d+%d", v.flags, v.sumStart, v.sumOffset, ip, sumAt)
	case pseudo(b, protocol, len(b)-ip) != binary.BigEndian.Uint16(b[ip+sumAt:]):
		return nil, fmt.Errorf("a super-packet has %#04x for a checksum, want the pseudo-header's sum %#04x",
			binary.BigEndian.Uint16(b[ip+sumAt:]), pseudo(b, protocol, len(b)-ip))
	case b[0]>>4 == 4 && sum(b[:ip]) != 0xffff:
		return nil, fmt.Errorf("a super-packet has a wrong IPv4 header checksum")
	case lengthOf(b) != len(b):
		return nil, fmt.Errorf("a super-packet of %d bytes says that it has %d", len(b), lengthOf(b))
	case gso == gsoUDP && int(binary.BigEndian.Uint16(b[ip+4:])) != len(b)-ip:
		return nil, fmt.Errorf("a UDP super-packet of %d bytes says that it has %d", len(b)-ip, binary.BigEndian.Uint16(b[ip+4:]))
	}
	var all [][]byte
	data := b[head:]
	for at := 0; at < len(data); at += int(v.size) {
		end := min(at+int(v.size), len(data))
		p := append(append([]byte(nil), b[:head]...), data[at:end]...)
		if protocol == protoTCP {
			binary.BigEndian.PutUint32(p[ip+4:], binary.BigEndian.Uint32(b[ip+4:])+uint32(at))
			if end < len(data) {
				p[ip+13] &^= tcpFIN | tcpPSH
			}
			if at > 0 {
				p[ip+13] &^= tcpCWR
			}
		} else {
			binary.BigEndian.PutUint16(p[ip+4:], uint16(len(p)-ip))
		}
		if p[0]>>4 == 4 {
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
			binary.BigEndian.PutUint16(p[4:], binary.BigEndian.Uint16(b[4:])+uint16(len(all)))
			p[10], p[11] = 0, 0
			binary.BigEndian.PutUint16(p[10:], ^sum(p[:ip]))
		} else {
			binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
		}
		binary.BigEndian.PutUint16(p[ip+sumAt:], 0)
		s := ^fold(uint32(pseudo(p, protocol, len(p)-ip)) + uint32(sum(p[ip:])))
		if s == 0 && protocol == protoUDP {
			s = 0xffff
		}
		binary.BigEndian.PutUint16(p[ip+sumAt:], s)
		all = append(all, p)
	}
	return all, nil
}

// complete makes a partial checksum whole. The field holds the sum of the
// pseudo-header.
func complete(v vnet, b []byte) error {
	start, at := int(v.sumStart), int(v.sumStart)+int(v.sumOffset)
	if at+2 > len(b) {
		return fmt.Errorf("a partial checksum at %d of %d bytes", at, len(b))
	}
	s := ^sum(b[start:])
	if s == 0 && v.sumOffset == 6 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], s)
	return nil
}

// upper finds the transport header: behind the IPv4 header, or behind the IPv6
// header and its options.
func upper(b []byte) (at int, protocol byte, err error) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		at, protocol = int(b[0]&15)*4, b[9]
	case len(b) >= 40 && b[0]>>4 == 6:
		at, protocol = 40, b[6]
		for (protocol == 0 || protocol == protoDest) && at+8 <= len(b) {
			protocol, at = b[at], at+8+int(b[at+1])*8
		}
	}
	if least := map[byte]int{protoTCP: 20, protoUDP: 8}[protocol]; at == 0 || least == 0 || at+least > len(b) {
		return 0, 0, fmt.Errorf("a super-packet of %d bytes that begins with %x", len(b), b[:min(len(b), 60)])
	}
	return at, protocol, nil
}

// lengthOf is what the IP header says of the packet's length.
func lengthOf(b []byte) int {
	if b[0]>>4 == 4 {
		return int(binary.BigEndian.Uint16(b[2:]))
	}
	return 40 + int(binary.BigEndian.Uint16(b[4:]))
}

// pseudo is the sum of the pseudo-header of a packet whose payload has n bytes.
func pseudo(b []byte, protocol byte, n int) uint16 {
	addresses := b[12:20]
	if b[0]>>4 == 6 {
		addresses = b[8:40]
	}
	p := binary.BigEndian.AppendUint32(append([]byte(nil), addresses...), uint32(n))
	return sum(append(p, 0, 0, 0, protocol))
}
