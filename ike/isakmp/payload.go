package isakmp

import "encoding/binary"

// payloadHeaderLen is the length of a generic payload header (RFC 2408,
// section 3.2).
const payloadHeaderLen = 4

// MaxPayloads bounds the payloads of one message. A Windows machine with
// many roots sends about a hundred certificate requests.
const MaxPayloads = 255

// Payload is one payload of a message.
type Payload interface {
	// Type is the number that announces the payload in the header before it.
	Type() PayloadType

	// AppendBody writes what follows the generic payload header.
	AppendBody(b []byte) []byte
}

// Raw is a payload whose body is not interpreted.
type Raw struct {
	Kind PayloadType
	Body []byte
}

// Type implements Payload.
func (r Raw) Type() PayloadType { return r.Kind }

// AppendBody implements Payload.
func (r Raw) AppendBody(b []byte) []byte { return append(b, r.Body...) }

// First is the type of the first payload, PayloadNone of an empty list.
func First(payloads []Payload) PayloadType {
	if len(payloads) == 0 {
		return PayloadNone
	}
	return payloads[0].Type()
}

// Append writes payloads as a chain. A body must be shorter than 65532 bytes.
func Append(b []byte, payloads ...Payload) []byte {
	for i, p := range payloads {
		start := len(b)
		b = append(b, byte(First(payloads[i+1:])), 0, 0, 0)
		b = p.AppendBody(b)
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	}
	return b
}

// Chain splits b, which begins with a payload of type first, into its payloads. It
// returns as rest what is left after the last one, which in an encrypted message
// is the padding. With an error it returns the payloads before the one whose end
// cannot be found.
func Chain(first PayloadType, b []byte) (payloads []Raw, rest []byte, err error) {
	for next := first; next != PayloadNone; {
		if len(payloads) == MaxPayloads {
			return payloads, nil, malformed("more than %d payloads", MaxPayloads)
		}
		if len(b) < payloadHeaderLen {
			return payloads, nil, malformed("%d bytes are not a payload header", len(b))
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < payloadHeaderLen || n > len(b) {
			return payloads, nil, malformed("%v payload of %d bytes in %d", next, n, len(b))
		}
		payloads = append(payloads, Raw{next, b[payloadHeaderLen:n]})
		next, b = PayloadType(b[0]), b[n:]
	}
	return payloads, b, nil
}
