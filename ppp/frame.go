package ppp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// PPP protocol numbers.
const (
	ProtocolIP         = 0x0021
	ProtocolIPv6       = 0x0057
	ProtocolCompressed = 0x00fd // RFC 1962, section 2.1
	ProtocolIPCP       = 0x8021
	ProtocolIPV6CP     = 0x8057
	ProtocolCCP        = 0x80fd
	ProtocolACSCP      = 0x8235
	ProtocolMPLSCP     = 0x8281
	ProtocolLCP        = 0xc021
	ProtocolPAP        = 0xc023
	ProtocolCHAP       = 0xc223
	ProtocolEAP        = 0xc227
)

// ProtocolName returns a short name for a protocol number.
func ProtocolName(p uint16) string {
	switch p {
	case ProtocolIP:
		return "IP"
	case ProtocolIPv6:
		return "IPv6"
	case ProtocolCompressed:
		return "compressed packet"
	case ProtocolIPCP:
		return "IPCP"
	case ProtocolIPV6CP:
		return "IPV6CP"
	case ProtocolCCP:
		return "CCP"
	case ProtocolACSCP:
		return "ACSCP"
	case ProtocolMPLSCP:
		return "MPLSCP"
	case ProtocolLCP:
		return "LCP"
	case ProtocolPAP:
		return "PAP"
	case ProtocolCHAP:
		return "CHAP"
	case ProtocolEAP:
		return "EAP"
	}
	return fmt.Sprintf("protocol %#04x", p)
}

// The errors of HandlePacket.
var (
	// ErrMalformed: lengths or values that contradict themselves.
	ErrMalformed = errors.New("malformed")
	// ErrUnexpected: the packet is not wanted now, or not from this peer.
	ErrUnexpected = errors.New("not expected now")
	// ErrTooLong: longer than any control frame may be.
	ErrTooLong = errors.New("too long")
	// ErrClosed: the link has ended.
	ErrClosed = errors.New("link is closed")
)

const (
	maxFrame = 2048 // length of a control frame that we handle
	maxText  = 128  // length of a peer's text that we pass on
	maxName  = 253  // length of a user name: the most that RADIUS can carry

	defaultMRU = 1500 // RFC 1661, section 6.1
	minMRU     = 128  // what every peer must be able to receive
)

// splitFrame returns the protocol and the information field of a frame. It accepts frames
// with and without the address and control fields, and protocol fields of one or two
// bytes, whatever was negotiated.
//
// Deviation: RFC 1661, sections 6.5 and 6.6, allow the short forms only once they are
// negotiated; Windows uses them as soon as it has sent its own request.
func splitFrame(frame []byte) (protocol uint16, info []byte, ok bool) {
	if len(frame) >= 2 && frame[0] == 0xff && frame[1] == 0x03 {
		frame = frame[2:]
	}
	switch {
	case len(frame) >= 1 && frame[0]&1 == 1:
		return uint16(frame[0]), frame[1:], true
	case len(frame) >= 2 && frame[1]&1 == 1:
		return binary.BigEndian.Uint16(frame), frame[2:], true
	}
	return 0, nil, false
}

// appendFrame appends the header that we send. It always has the address, the control
// field and a protocol field of two bytes: some peers agree to the short forms and then
// fail to read them.
func appendFrame(b []byte, protocol uint16) []byte {
	return append(b, 0xff, 0x03, byte(protocol>>8), byte(protocol))
}

// packet is one control packet: code, identifier, length, data (RFC 1661, section 5).
// Bytes after that length are padding and are cut off.
type packet struct {
	code, id byte
	data     []byte
	whole    []byte
}

func parsePacket(b []byte) (packet, error) {
	if len(b) < 4 {
		return packet{}, fmt.Errorf("header: %w", ErrMalformed)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 4 || n > len(b) {
		return packet{}, fmt.Errorf("length %d of %d: %w", n, len(b), ErrMalformed)
	}
	return packet{code: b[0], id: b[1], data: b[4:n], whole: b[:n]}, nil
}

// appendPacket appends one control packet; data is shorter than 64 KiB.
func appendPacket(b []byte, code, id byte, data []byte) []byte {
	b = append(b, code, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)+4))
	return append(b, data...)
}

// peerText turns a peer's bytes into a log field: bounded, printable ASCII.
func peerText(b []byte) string {
	if len(b) > maxText {
		b = b[:maxText]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '.'
		}
		return r
	}, string(b))
}
