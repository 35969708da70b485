package isakmp

import "encoding/binary"

// Delete is a delete payload of the IPsec DOI (RFC 2408, section 3.15). All of its
// SPIs have the same length: 4 bytes for ESP, 16 (both cookies) for ISAKMP.
type Delete struct {
	Protocol Protocol
	SPIs     [][]byte
}

// Type implements Payload.
func (Delete) Type() PayloadType { return PayloadDelete }

// AppendBody implements Payload.
func (d Delete) AppendBody(b []byte) []byte {
	size := 0
	if len(d.SPIs) > 0 {
		size = len(d.SPIs[0])
	}
	b = binary.BigEndian.AppendUint32(b, DOIIPsec)
	b = append(b, byte(d.Protocol), byte(size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.SPIs)))
	for _, spi := range d.SPIs {
		b = append(b, spi...)
	}
	return b
}

// spiLen is the length of a protocol's SPIs in bytes, 0 if it is not known.
func (p Protocol) spiLen() int {
	switch p {
	case ProtocolISAKMP:
		return 16
	case ProtocolAH, ProtocolESP:
		return 4
	default:
		return 0
	}
}

// ParseDelete reads the body of a delete payload, whatever its DOI. The sender's
// hash proves that the message is complete, so a wrong count does not make it
// invalid. If the size or the number of the SPIs does not fit the protocol or the
// payload, ParseDelete reads as many SPIs of the protocol's length as there is
// room for, or one SPI that is too short. Bytes that are left over are padding.
func ParseDelete(body []byte) (Delete, error) {
	if len(body) < 8 {
		return Delete{}, malformed("delete payload of %d bytes", len(body))
	}
	d := Delete{Protocol: Protocol(body[4])}
	size, count := int(body[5]), int(binary.BigEndian.Uint16(body[6:]))
	body = body[8:]
	if known := d.Protocol.spiLen(); known > 0 && size != known {
		size, count = known, max(1, len(body)/known)
	}
	for ; count > 0 && size > 0 && len(body) >= size; count-- {
		d.SPIs, body = append(d.SPIs, body[:size]), body[size:]
	}
	if len(d.SPIs) == 0 {
		d.SPIs = [][]byte{body}
	}
	return d, nil
}
