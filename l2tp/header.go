package l2tp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// What HandlePacket's and ParseData's errors are.
var (
	// ErrMalformed: lengths or values that contradict themselves.
	ErrMalformed = errors.New("malformed")
	// ErrUnexpected: nothing that is wanted now, or not for this tunnel.
	ErrUnexpected = errors.New("not expected now")
	// ErrTooLong: longer than any control message may be.
	ErrTooLong = errors.New("too long")
	// ErrClosed: the tunnel is gone.
	ErrClosed = errors.New("tunnel is closed")
	// ErrLimit: the tunnel admits no more sessions.
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
	maxControl       = 4096 // of a control message that we look at
	maxText          = 128  // of a peer's text that we hand on
)

// header is the header of a control message.
type header struct {
	tunnel, session uint16
	ns, nr          uint16
}

// IsControl tells whether a UDP payload is an L2TPv2 control message.
func IsControl(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	flags := binary.BigEndian.Uint16(b)
	return flags&bitType != 0 && flags&versionMask == version
}

// parseHeader splits a control message. RFC 2661, section 3.1: of a control
// message, the L and S bits MUST be set, the O and P bits MUST be clear; we
// insist on what shapes the header. What follows Length is padding.
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

// peerText makes a log field of a peer's bytes: bounded, printable ASCII, and
// without the NUL that Apple counts into its Host Name.
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

// TunnelID is the tunnel that a control message is for, by our id; 0 before the
// peer knows it. ok is false if the message is malformed.
func TunnelID(b []byte) (id uint16, ok bool) {
	h, _, err := parseHeader(b)
	return h.tunnel, err == nil
}
