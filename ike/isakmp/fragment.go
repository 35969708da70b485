package isakmp

import "encoding/binary"

// Fragment is a piece of a message that is too large for a datagram (Microsoft,
// MS-IKEE, section 2.2.3). It is the only payload of its message, whose header is
// a copy of the whole message's header without the encryption flag.
type Fragment struct {
	ID     uint16 // of the whole message
	Number uint8  // from 1
	Last   bool
	Data   []byte // a piece of the whole message, its header included
}

// FragmentOverhead is what a fragment adds to its data, in bytes: a header, a
// generic payload header, and its own four.
const FragmentOverhead = HeaderLen + payloadHeaderLen + 4

const fragmentLast = 1

// Type implements Payload.
func (Fragment) Type() PayloadType { return PayloadFragment }

// AppendBody implements Payload.
func (f Fragment) AppendBody(b []byte) []byte {
	var flags byte
	if f.Last {
		flags = fragmentLast
	}
	b = append(binary.BigEndian.AppendUint16(b, f.ID), f.Number, flags)
	return append(b, f.Data...)
}

// ParseFragment reads the body of a fragment.
func ParseFragment(body []byte) (Fragment, error) {
	if len(body) <= 4 {
		return Fragment{}, malformed("fragment of %d bytes", len(body))
	}
	f := Fragment{binary.BigEndian.Uint16(body), body[2], body[3]&fragmentLast != 0, body[4:]}
	if f.Number == 0 {
		return Fragment{}, malformed("fragment 0: they count from 1")
	}
	return f, nil
}
