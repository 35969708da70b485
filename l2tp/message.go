package l2tp

import (
	"encoding/binary"
	"fmt"
)

// AVP bits (RFC 2661, section 4.1).
const (
	avpMandatory = 0x8000
	avpHidden    = 0x4000
	avpReserved  = 0x3c00
)

// message is one parsed control message. A value is nil if its AVP is absent or
// has a wrong length. Values alias the message or are decrypted copies.
type message struct {
	header
	kind      messageType
	mandatory bool // the M bit of Message Type
	values    [avpCount][]byte

	// The first AVP with the M bit that we do not recognize; section 4.1 says what
	// has to end because of it.
	unknown       bool
	unknownVendor uint16
	unknownType   uint16
	sealed        bool // it is hidden, and our secret does not decipher it
}

// parseMessage splits the AVPs behind a control header; body is not empty. An
// error means that the rest of the message cannot be read; the message holds the
// AVPs before the error.
func parseMessage(h header, body, secret []byte) (*message, error) {
	m := &message{header: h}
	var vector []byte
	for first := true; len(body) > 0; first = false {
		if len(body) < avpHeaderLen {
			return m, fmt.Errorf("AVP of %d bytes: %w", len(body), ErrMalformed)
		}
		flags := binary.BigEndian.Uint16(body)
		n := int(flags & maxAVP)
		if n < avpHeaderLen || n > len(body) {
			return m, fmt.Errorf("AVP of length %d in %d bytes: %w", n, len(body), ErrMalformed)
		}
		vendor, kind := binary.BigEndian.Uint16(body[2:]), attribute(binary.BigEndian.Uint16(body[4:]))
		value := body[avpHeaderLen:n:n]
		body = body[n:]
		if first {
			// Section 4.4.1: Message Type "MUST be the first AVP in a message".
			if vendor != 0 || kind != avpMessageType || flags&avpHidden != 0 || len(value) != 2 {
				return m, fmt.Errorf("no Message Type: %w", ErrMalformed)
			}
			m.kind = messageType(binary.BigEndian.Uint16(value))
			m.mandatory = flags&avpMandatory != 0
		}
		// "An AVP received with a reserved bit set to 1 MUST be treated as an
		// unrecognized AVP."
		if vendor != 0 || !kind.known() || flags&avpReserved != 0 {
			m.unrecognized(flags, vendor, kind)
			continue
		}
		if flags&avpHidden != 0 {
			plain, ok := unhide(kind, value, secret, vector)
			// With a wrong secret the result is arbitrary, and most results
			// violate the AVP's rule.
			if r := &avpRules[kind]; !ok || !r.hideable || len(plain) < r.min || len(plain) > r.max {
				m.sealed = m.sealed || !m.unknown && flags&avpMandatory != 0 && r.hideable
				m.unrecognized(flags, vendor, kind)
				continue
			}
			value = plain
		}
		m.add(kind, value)
		if kind == avpRandomVector {
			vector = value
		}
	}
	return m, nil
}

func (m *message) unrecognized(flags, vendor uint16, kind attribute) {
	if flags&avpMandatory != 0 && !m.unknown {
		m.unknown, m.unknownVendor, m.unknownType = true, vendor, uint16(kind)
	}
}

// add stores a value. A value of a wrong length counts as absent, and of repeated
// AVPs the first one counts.
func (m *message) add(kind attribute, value []byte) {
	r := &avpRules[kind]
	if len(value) >= r.min && len(value) <= r.max && m.values[kind] == nil {
		m.values[kind] = value
	}
}

func (m *message) has(a attribute) bool { return m.values[a] != nil }

// complete reports whether the AVP that we need is there and has a value: an
// assigned id of 0 counts as none.
func (m *message) complete() bool {
	need := messageRules[m.kind].need
	if need == avpAssignedTunnel || need == avpAssignedSession {
		return m.uint16(need) != 0
	}
	return need == 0 || m.has(need)
}

// uint16 returns a 2-byte value, 0 if absent.
func (m *message) uint16(a attribute) uint16 {
	if v := m.values[a]; len(v) >= 2 {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// uint32 returns a 4-byte value, 0 if absent.
func (m *message) uint32(a attribute) uint32 {
	if v := m.values[a]; len(v) >= 4 {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (m *message) text(a attribute) string { return peerText(m.values[a]) }

// result returns the Result Code AVP (section 4.4.2). Its error code and
// message are optional.
//
// Deviation: Apple sends the code in little-endian order, followed by stale bytes.
// The RFC has no code whose low byte is 0, so such a code is read as
// little-endian.
func (m *message) result() Result {
	v := m.values[avpResultCode]
	if len(v) < 2 {
		return Result{}
	}
	if v[0] != 0 && v[1] == 0 {
		return Result{Code: ResultCode(v[0])}
	}
	r := Result{Code: ResultCode(binary.BigEndian.Uint16(v))}
	if len(v) >= 4 {
		r.Error = ErrorCode(binary.BigEndian.Uint16(v[2:]))
		r.Message = peerText(v[4:])
	}
	return r
}

// outline is a control message under construction.
type outline struct{ b []byte }

// compose begins a message. Its header is written when it is sent.
func compose(kind messageType) *outline {
	o := &outline{b: make([]byte, controlHeaderLen, 160)}
	return o.uint16(avpMessageType, uint16(kind))
}

// add appends an AVP with the M bit of its rule.
func (o *outline) add(a attribute, value ...byte) *outline {
	value = value[:min(len(value), maxValue)]
	flags := uint16(len(value) + avpHeaderLen)
	if avpRules[a].mandatory {
		flags |= avpMandatory
	}
	o.b = binary.BigEndian.AppendUint16(o.b, flags)
	o.b = binary.BigEndian.AppendUint16(o.b, 0)
	o.b = binary.BigEndian.AppendUint16(o.b, uint16(a))
	o.b = append(o.b, value...)
	return o
}

func (o *outline) uint16(a attribute, v uint16) *outline {
	return o.add(a, byte(v>>8), byte(v))
}

func (o *outline) uint32(a attribute, v uint32) *outline {
	return o.add(a, binary.BigEndian.AppendUint32(nil, v)...)
}

// result appends the long form of Result Code: Windows 2000 rejects the form
// without an error code, which is allowed, as too short.
func (o *outline) result(r Result) *outline {
	v := binary.BigEndian.AppendUint16(nil, uint16(r.Code))
	v = binary.BigEndian.AppendUint16(v, uint16(r.Error))
	return o.add(avpResultCode, append(v, r.Message[:min(len(r.Message), maxText)]...)...)
}
