package l2tp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The errors of HandlePacket and ParseData wrap one of these.
var (
	// ErrMalformed is for lengths or values that contradict each other.
	ErrMalformed = errors.New("malformed")
	// ErrUnexpected is for a message that is not expected now, or is not for this
	// tunnel.
	ErrUnexpected = errors.New("not expected now")
	// ErrTooLong is for a message that is longer than any control message may be.
	ErrTooLong = errors.New("too long")
	// ErrClosed is for a tunnel that has ended.
	ErrClosed = errors.New("tunnel is closed")
	// ErrLimit is for a tunnel that admits no more sessions.
	ErrLimit = errors.New("no more sessions")
)

// Header bits (RFC 2661, section 3.1).
const (
	bitType     = 0x8000
	bitLength   = 0x4000
	bitSequence = 0x0800
	bitOffset   = 0x0200
	bitPriority = 0x0100

	version     = 2
	versionMask = 0x000f

	controlHeaderLen = 12
	maxControl       = 4096 // longest control message that we read
	maxText          = 128  // longest text of a peer that we pass on
)

// header is the header of a control message.
type header struct {
	tunnel, session uint16
	ns, nr          uint16
}

// IsControl reports whether a UDP payload is an L2TPv2 control message.
func IsControl(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	flags := binary.BigEndian.Uint16(b)
	return flags&bitType != 0 && flags&versionMask == version
}

// parseHeader splits a control message. RFC 2661, section 3.1: the L and S bits of
// a control message MUST be set, its O and P bits MUST be clear. We insist only on
// the bits that decide the header's form. Bytes beyond Length are padding.
func parseHeader(b []byte) (header, []byte, error) {
	if len(b) < controlHeaderLen {
		return header{}, nil, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	const must = bitType | bitLength | bitSequence
	flags := binary.BigEndian.Uint16(b)
	if flags&must != must || flags&bitOffset != 0 || flags&versionMask != version {
		return header{}, nil, fmt.Errorf("flags %04x: %w", flags, ErrMalformed)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < controlHeaderLen || n > len(b) {
		return header{}, nil, fmt.Errorf("length %d of %d: %w", n, len(b), ErrMalformed)
	}
	if n > maxControl {
		return header{}, nil, ErrTooLong
	}
	return header{
		tunnel:  binary.BigEndian.Uint16(b[4:]),
		session: binary.BigEndian.Uint16(b[6:]),
		ns:      binary.BigEndian.Uint16(b[8:]),
		nr:      binary.BigEndian.Uint16(b[10:]),
	}, b[controlHeaderLen:n], nil
}

// putHeader writes the header of the control message that b holds.
func putHeader(b []byte, h header) {
	binary.BigEndian.PutUint16(b, bitType|bitLength|bitSequence|version)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], h.tunnel)
	binary.BigEndian.PutUint16(b[6:], h.session)
	binary.BigEndian.PutUint16(b[8:], h.ns)
	binary.BigEndian.PutUint16(b[10:], h.nr)
}

// peerText makes a log field from a peer's bytes: bounded, printable ASCII, and
// without the NUL that Apple includes in its Host Name.
func peerText(b []byte) string {
	if len(b) > maxText {
		b = b[:maxText]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '.'
		}
		return r
	}, strings.TrimRight(string(b), "\x00"))
}

// TunnelID returns the id, assigned by us, of the tunnel that a control message is
// for. It is 0 while the peer does not know it. ok is false if the message is
// malformed.
func TunnelID(b []byte) (id uint16, ok bool) {
	h, _, err := parseHeader(b)
	return h.tunnel, err == nil
}
