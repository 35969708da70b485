package isakmp

import "encoding/binary"

// Delete is a delete payload of the IPsec DOI (RFC 2408, section 3.15). All
// SPIs have one length: 4 bytes for ESP, 16 (both cookies) for ISAKMP.
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

// ParseDelete reads the body of a delete payload. The number of SPIs and
// their size must fill it exactly.
func ParseDelete(body []byte) (Delete, error) {
	if len(body) < 8 {
		return Delete{}, malformed("delete payload of %d bytes", len(body))
	}
	if doi := binary.BigEndian.Uint32(body); doi != DOIIPsec && doi != 0 {
		return Delete{}, malformed("delete payload of DOI %d", doi)
	}
	d := Delete{Protocol: Protocol(body[4])}
	size, count := int(body[5]), int(binary.BigEndian.Uint16(body[6:]))
	body = body[8:]
	if size == 0 && count > 0 || size*count != len(body) {
		return Delete{}, malformed("%d SPIs of %d bytes in %d", count, size, len(body))
	}
	d.SPIs = make([][]byte, count)
	for i := range d.SPIs {
		d.SPIs[i], body = body[:size], body[size:]
	}
	return d, nil
}
