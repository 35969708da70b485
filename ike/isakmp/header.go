package isakmp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderLen is the length of an ISAKMP header in bytes.
const HeaderLen = 28

// Version1 is the version byte of ISAKMP: major 1, minor 0.
const Version1 uint8 = 0x10

// ErrMalformed is wrapped by every error of this package. The error for a message
// of which a part is missing also wraps ErrTruncated.
var (
	ErrMalformed = errors.New("malformed ISAKMP message")
	ErrTruncated = errors.New("message is shorter than its header says")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Header is the header of a message (RFC 2408, section 3.1).
type Header struct {
	InitiatorCookie, ResponderCookie [8]byte

	Next      PayloadType // type of the first payload
	Version   uint8       // major in the high half, minor in the low one
	Exchange  Exchange
	Flags     Flags
	MessageID uint32
	Length    uint32 // of the whole message, header included, in bytes
}

// Append writes the header unchanged.
func (h Header) Append(b []byte) []byte {
	b = append(b, h.InitiatorCookie[:]...)
	b = append(b, h.ResponderCookie[:]...)
	b = append(b, byte(h.Next), h.Version, byte(h.Exchange), byte(h.Flags))
	b = binary.BigEndian.AppendUint32(b, h.MessageID)
	return binary.BigEndian.AppendUint32(b, h.Length)
}

// ParseHeader takes the header off msg and returns what follows it, up to the
// length that the header names. Bytes behind that do not belong to the message:
// some clients and middleboxes pad datagrams. The version is not checked.
func ParseHeader(msg []byte) (h Header, body []byte, err error) {
	if len(msg) < HeaderLen {
		return Header{}, nil, malformed("%d bytes are not a header", len(msg))
	}
	copy(h.InitiatorCookie[:], msg)
	copy(h.ResponderCookie[:], msg[8:])
	h.Next, h.Version = PayloadType(msg[16]), msg[17]
	h.Exchange, h.Flags = Exchange(msg[18]), Flags(msg[19])
	h.MessageID = binary.BigEndian.Uint32(msg[20:])
	h.Length = binary.BigEndian.Uint32(msg[24:])
	switch {
	case uint64(h.Length) > uint64(len(msg)):
		return Header{}, nil, fmt.Errorf("%w: %w: it says %d bytes, there are %d", ErrMalformed, ErrTruncated, h.Length, len(msg))
	case h.Length < HeaderLen:
		return Header{}, nil, malformed("a header that says %d bytes", h.Length)
	}
	return h, msg[HeaderLen:h.Length:h.Length], nil
}

// AppendMessage writes a message in clear: the header, with the first
// payload's type and the length filled in, and the payloads.
func AppendMessage(b []byte, h Header, payloads ...Payload) []byte {
	start := len(b)
	h.Next = First(payloads)
	b = Append(h.Append(b), payloads...)
	binary.BigEndian.PutUint32(b[start+24:], uint32(len(b)-start))
	return b
}
