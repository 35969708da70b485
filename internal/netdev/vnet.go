package netdev

import (
	"encoding/binary"

	"github.com/adit-vpn/adit/internal/packet"
)

// The vnet header (virtio 1.2, section 5.1.6), in the byte order of the
// machine.
const (
	vnetLen = 10

	vnetNeedsCsum = 1
	vnetNone      = 0
	vnetTCP4      = 1
	vnetTCP6      = 4
	vnetUDP       = 5 // datagrams, not the fragments of one
	vnetECN       = 0x80
)

// getVnet reads the header of a packet, which begins with a link's header of so many bytes,
// and reports whether it is one that was asked for. The length of the packet's headers is read from the packet: the kernel's
// field for it may be the length of the part that lies in one piece.
func (p *Packet) getVnet(h []byte, link int) bool {
	if h[0]&vnetNeedsCsum != 0 {
		p.CsumStart = int(binary.NativeEndian.Uint16(h[6:])) - link
		p.CsumOffset = int(binary.NativeEndian.Uint16(h[8:]))
	}
	switch h[1] &^ vnetECN {
	case vnetNone:
		return true
	case vnetTCP4, vnetTCP6, vnetUDP:
		p.HeaderLen = packet.HeadersLen(p.Buf[min(p.Off+link, p.End):p.End])
		p.Segment = int(binary.NativeEndian.Uint16(h[4:]))
		return p.Segment > 0
	}
	return false
}

// putVnet writes the header of a packet, in front of whose IP is a link's header of so many
// bytes.
func (p *Packet) putVnet(h []byte, link int) {
	clear(h[:vnetLen])
	if p.CsumStart > 0 {
		h[0] = vnetNeedsCsum
		binary.NativeEndian.PutUint16(h[6:], uint16(p.CsumStart+link))
		binary.NativeEndian.PutUint16(h[8:], uint16(p.CsumOffset))
	}
	if p.Segment == 0 {
		return
	}
	switch six := p.Buf[p.Off]>>4 == 6; {
	case p.CsumOffset == csumUDP:
		h[1] = vnetUDP
	case six:
		h[1] = vnetTCP6
	default:
		h[1] = vnetTCP4
	}
	if h[1] != vnetUDP && p.Buf[p.Off+p.CsumStart+13]&flagCWR != 0 {
		h[1] |= vnetECN
	}
	binary.NativeEndian.PutUint16(h[2:], uint16(p.HeaderLen+link))
	binary.NativeEndian.PutUint16(h[4:], uint16(p.Segment))
}

const (
	csumUDP = 6    // where UDP has its checksum
	flagCWR = 0x80 // of TCP: RFC 3168, section 6.1.2
)
