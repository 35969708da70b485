package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// PPP protocol numbers.
const (
	LCP    = 0xc021
	PAP    = 0xc023
	CHAP   = 0xc223
	EAP    = 0xc227
	IPCP   = 0x8021
	IPV6CP = 0x8057
	CCP    = 0x80fd
	ACSCP  = 0x8235
	MPLSCP = 0x8281
	IPv4   = 0x0021
	IPv6   = 0x0057
)

// Codes of RFC 1661 section 5 and RFC 1570.
const (
	ConfReq  = 1
	ConfAck  = 2
	ConfNak  = 3
	ConfRej  = 4
	TermReq  = 5
	TermAck  = 6
	CodeRej  = 7
	ProtRej  = 8
	EchoReq  = 9
	EchoRep  = 10
	DiscReq  = 11
	Identify = 12
)

// CP is one packet of a control protocol, or of CHAP or PAP.
type CP struct {
	Code, ID byte
	Body     []byte
}

// Marshal encodes the packet.
func (c CP) Marshal() []byte {
	b := binary.BigEndian.AppendUint16([]byte{c.Code, c.ID}, uint16(4+len(c.Body)))
	return append(b, c.Body...)
}

// ParseCP decodes a packet. Bytes after its length are padding.
func ParseCP(b []byte) (CP, error) {
	if len(b) < 4 {
		return CP{}, errors.New("shorter than a control packet")
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 4 || n > len(b) {
		return CP{}, fmt.Errorf("a control packet says that it has %d of %d bytes", n, len(b))
	}
	return CP{b[0], b[1], b[4:n]}, nil
}

// Option is one configuration option.
type Option struct {
	Type  byte
	Value []byte
}

// Options encodes options.
func Options(list []Option) []byte {
	var b []byte
	for _, o := range list {
		b = append(append(b, o.Type, byte(2+len(o.Value))), o.Value...)
	}
	return b
}

// ParseOptions decodes them.
func ParseOptions(b []byte) ([]Option, error) {
	var list []Option
	for len(b) > 0 {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return nil, errors.New("a malformed option")
		}
		list = append(list, Option{b[0], b[2:b[1]]})
		b = b[b[1]:]
	}
	return list, nil
}

// Frame is a PPP frame with address, control and a protocol of two bytes.
func Frame(protocol uint16, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, 0x03}, protocol), b...)
}

// ParseFrame decodes a frame. Compressed says which compressions it uses, ""
// for none.
func ParseFrame(b []byte) (protocol uint16, body []byte, compressed string, err error) {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	} else {
		compressed = "ACFC"
	}
	if len(b) > 0 && b[0]&1 == 1 {
		return uint16(b[0]), b[1:], compressed + "PFC", nil
	}
	if len(b) < 2 {
		return 0, nil, "", errors.New("a frame without a protocol")
	}
	return binary.BigEndian.Uint16(b), b[2:], compressed, nil
}
