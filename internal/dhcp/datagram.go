package dhcp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/internal/packet"
)

const (
	udpHeaderLen = 8
	hops         = 64 // of what is sent
)

// payload returns what is in a UDP datagram to a port. The UDP checksum is not
// looked at: Apple sends none, and ESP has protected the packet.
func payload(b []byte, port uint16) ([]byte, packet.IP, error) {
	h, ok := packet.Parse(b)
	if !ok || h.Protocol != packet.UDP || h.Offset != 0 || h.More || h.Len < h.HeaderLen+udpHeaderLen {
		return nil, h, fmt.Errorf("%w: no whole UDP datagram", ErrMalformed)
	}
	u := b[h.HeaderLen:h.Len]
	if binary.BigEndian.Uint16(u[2:]) != port {
		return nil, h, fmt.Errorf("%w: not to port %d", ErrIgnored, port)
	}
	n := int(binary.BigEndian.Uint16(u[4:]))
	if n > len(u) || n < udpHeaderLen {
		return nil, h, fmt.Errorf("%w: UDP length %d of %d", ErrMalformed, n, len(u))
	}
	return u[udpHeaderLen:n], h, nil
}

// datagram puts UDP and IP in front of a message.
func datagram(from, to uint16, src, dst netip.Addr, message []byte) []byte {
	head := packet.HeaderLen(src)
	b := make([]byte, head+udpHeaderLen, head+udpHeaderLen+len(message))
	b = append(b, message...)
	u := b[head:]
	binary.BigEndian.PutUint16(u, from)
	binary.BigEndian.PutUint16(u[2:], to)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	packet.PutSum(u, 6, packet.UDP, src, dst)
	packet.Put(b, packet.UDP, hops, src, dst)
	return b
}
