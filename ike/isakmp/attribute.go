package isakmp

import "encoding/binary"

// Attribute is a data attribute (RFC 2408, section 3.3). Its form is preserved,
// because a chosen transform is echoed byte for byte: Windows sends a lifetime in
// four bytes that would fit in two.
type Attribute struct {
	Type  uint16 // without the format bit
	Short bool   // the type/value form, whose value is two bytes
	Value []byte
}

const attributeShort = 0x8000

// ShortAttribute makes an attribute in the type/value form.
func ShortAttribute(typ, value uint16) Attribute {
	return Attribute{typ, true, binary.BigEndian.AppendUint16(nil, value)}
}

// LongAttribute makes an attribute in the type/length/value form, with a
// value of four bytes.
func LongAttribute(typ uint16, value uint32) Attribute {
	return Attribute{typ, false, binary.BigEndian.AppendUint32(nil, value)}
}

// Uint returns the value as a number. ok is false if there is no value or if
// it does not fit.
func (a Attribute) Uint() (v uint64, ok bool) {
	for _, c := range a.Value {
		if v > 1<<56-1 {
			return 0, false
		}
		v = v<<8 | uint64(c)
	}
	return v, len(a.Value) > 0
}

// AppendAttributes writes attributes in their order and form.
func AppendAttributes(b []byte, attributes []Attribute) []byte {
	for _, a := range attributes {
		if a.Short {
			b = binary.BigEndian.AppendUint16(b, a.Type|attributeShort)
		} else {
			b = binary.BigEndian.AppendUint16(b, a.Type)
			b = binary.BigEndian.AppendUint16(b, uint16(len(a.Value)))
		}
		b = append(b, a.Value...)
	}
	return b
}

// ParseAttributes reads attributes until the end of b. If fewer bytes are left
// than an attribute has, they are padding.
func ParseAttributes(b []byte) ([]Attribute, error) {
	var list []Attribute
	for len(b) >= 4 {
		typ := binary.BigEndian.Uint16(b)
		a := Attribute{Type: typ &^ attributeShort, Short: typ&attributeShort != 0}
		if a.Short {
			a.Value, b = b[2:4], b[4:]
		} else {
			n := int(binary.BigEndian.Uint16(b[2:]))
			if n > len(b)-4 {
				return nil, malformed("attribute %d of %d bytes in %d", a.Type, n, len(b)-4)
			}
			a.Value, b = b[4:4+n], b[4+n:]
		}
		list = append(list, a)
	}
	return list, nil
}
