package isakmp

import "encoding/binary"

// Notify is a notification payload of the IPsec DOI (RFC 2408, section 3.14).
type Notify struct {
	Protocol Protocol
	SPI      []byte
	Message  NotifyType
	Data     []byte
}

// Type implements Payload.
func (Notify) Type() PayloadType { return PayloadNotify }

// AppendBody implements Payload.
func (n Notify) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, DOIIPsec)
	b = append(b, byte(n.Protocol), byte(len(n.SPI)))
	b = binary.BigEndian.AppendUint16(b, uint16(n.Message))
	b = append(b, n.SPI...)
	return append(b, n.Data...)
}

// ParseNotify reads the body of a notification payload, whatever its DOI: the
// message type alone says what is meant, and some peers send errors with the DOI
// of ISAKMP itself. An SPI that is longer than the payload is cut at the payload's
// end.
func ParseNotify(body []byte) (Notify, error) {
	if len(body) < 8 {
		return Notify{}, malformed("notification of %d bytes", len(body))
	}
	size := min(int(body[5]), len(body)-8)
	return Notify{
		Protocol: Protocol(body[4]),
		SPI:      body[8 : 8+size],
		Message:  NotifyType(binary.BigEndian.Uint16(body[6:])),
		Data:     body[8+size:],
	}, nil
}
