package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Control message types of RFC 2661 section 3.2.
const (
	ZLB     = 0
	SCCRQ   = 1
	SCCRP   = 2
	SCCCN   = 3
	StopCCN = 4
	Hello   = 6
	ICRQ    = 10
	ICRP    = 11
	ICCN    = 12
	CDN     = 14
	WEN     = 15
	SLI     = 16
)

// AVP is one attribute-value pair. Flags are the first two bytes without the
// length.
type AVP struct {
	Mandatory, Hidden bool
	Reserved          byte // bits 2 to 5
	Vendor, Type      uint16
	Value             []byte
}

// Control is one L2TP control message.
type Control struct {
	Tunnel, Session uint16
	Ns, Nr          uint16
	AVPs            []AVP
}

// Type is the message type, ZLB if there are no AVPs.
func (c *Control) Type() int {
	if len(c.AVPs) == 0 {
		return ZLB
	}
	return int(binary.BigEndian.Uint16(c.AVPs[0].Value))
}

// Find returns the value of an attribute of vendor 0, nil if there is none.
func (c *Control) Find(t uint16) []byte {
	for _, a := range c.AVPs {
		if a.Vendor == 0 && a.Type == t {
			return a.Value
		}
	}
	return nil
}

// M and O are a mandatory and an optional AVP of vendor 0.
func M(t uint16, value ...byte) AVP { return AVP{Mandatory: true, Type: t, Value: value} }

// O is an optional AVP of vendor 0.
func O(t uint16, value ...byte) AVP { return AVP{Type: t, Value: value} }

// U16 and U32 are big-endian numbers.
func U16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// U32 is a big-endian number.
func U32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Marshal encodes the message, with c802 as the first two bytes of its header.
func (c *Control) Marshal() []byte {
	b := []byte{0xc8, 0x02, 0, 0}
	for _, v := range []uint16{c.Tunnel, c.Session, c.Ns, c.Nr} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	for _, a := range c.AVPs {
		head := uint16(len(a.Value)+6) & 0x3ff
		if a.Mandatory {
			head |= 0x8000
		}
		if a.Hidden {
			head |= 0x4000
		}
		b = binary.BigEndian.AppendUint16(b, head)
		b = binary.BigEndian.AppendUint16(b, a.Vendor)
		b = binary.BigEndian.AppendUint16(b, a.Type)
		b = append(b, a.Value...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// ParseControl decodes a control message.
func ParseControl(b []byte) (*Control, error) {
	if len(b) < 12 {
		return nil, errors.New("shorter than an L2TP control header")
	}
	if b[0] != 0xc8 || b[1] != 2 {
		return nil, fmt.Errorf("a control message has the flags %02x%02x, not c802 (RFC 2661 section 3.1)", b[0], b[1])
	}
	if n := binary.BigEndian.Uint16(b[2:]); int(n) != len(b) {
		return nil, fmt.Errorf("a control message of %d bytes says %d", len(b), n)
	}
	u := func(i int) uint16 { return binary.BigEndian.Uint16(b[i:]) }
	c := &Control{Tunnel: u(4), Session: u(6), Ns: u(8), Nr: u(10)}
	for rest := b[12:]; len(rest) > 0; {
		if len(rest) < 6 {
			return nil, errors.New("an AVP is shorter than its header")
		}
		head := binary.BigEndian.Uint16(rest)
		n := int(head & 0x3ff)
		if n < 6 || n > len(rest) {
			return nil, fmt.Errorf("an AVP says that it has %d of %d bytes", n, len(rest))
		}
		c.AVPs = append(c.AVPs, AVP{
			Mandatory: head&0x8000 != 0, Hidden: head&0x4000 != 0, Reserved: byte(head >> 10 & 15),
			Vendor: binary.BigEndian.Uint16(rest[2:]), Type: binary.BigEndian.Uint16(rest[4:]), Value: rest[6:n],
		})
		rest = rest[n:]
	}
	if len(c.AVPs) > 0 {
		if a := c.AVPs[0]; a.Vendor != 0 || a.Type != 0 || len(a.Value) != 2 {
			return nil, errors.New("the first AVP is not the message type (RFC 2661 section 4.1)")
		}
	}
	return c, nil
}

// IsControl says whether an L2TP packet is a control message.
func IsControl(b []byte) bool { return len(b) > 0 && b[0]&0x80 != 0 }

// Data is one L2TP data message.
type Data struct {
	Tunnel, Session uint16
	Length          bool // the header has a length
	Sequenced       bool
	Ns, Nr          uint16
	Payload         []byte
}

// Marshal encodes the message.
func (d *Data) Marshal() []byte {
	b := []byte{0, 2}
	if d.Length {
		b[0] |= 0x40
		b = append(b, 0, 0)
	}
	b = binary.BigEndian.AppendUint16(b, d.Tunnel)
	b = binary.BigEndian.AppendUint16(b, d.Session)
	if d.Sequenced {
		b[0] |= 0x08
		b = binary.BigEndian.AppendUint16(b, d.Ns)
		b = binary.BigEndian.AppendUint16(b, d.Nr)
	}
	b = append(b, d.Payload...)
	if d.Length {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
	return b
}

// ParseData decodes a data message.
func ParseData(b []byte) (*Data, error) {
	short := errors.New("a data message is shorter than its header")
	if len(b) < 6 {
		return nil, short
	}
	if b[0]&0x34 != 0 || b[1] != 2 {
		return nil, fmt.Errorf("a data message has the flags %02x%02x", b[0], b[1])
	}
	flags, rest := b[0], b[2:]
	take := func() uint16 {
		if len(rest) < 2 {
			rest = nil
			return 0
		}
		v := binary.BigEndian.Uint16(rest)
		rest = rest[2:]
		return v
	}
	d := &Data{Length: flags&0x40 != 0, Sequenced: flags&0x08 != 0}
	if d.Length {
		if n := take(); int(n) != len(b) {
			return nil, fmt.Errorf("a data message of %d bytes says %d", len(b), n)
		}
	}
	d.Tunnel, d.Session = take(), take()
	if d.Sequenced {
		d.Ns, d.Nr = take(), take()
	}
	if flags&0x02 != 0 {
		if skip := int(take()); skip > len(rest) {
			return nil, short
		} else {
			rest = rest[skip:]
		}
	}
	if rest == nil {
		return nil, short
	}
	d.Payload = rest
	return d, nil
}
