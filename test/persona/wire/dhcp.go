package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// DHCP is a DHCP message (RFC 2131). Options keep their order.
type DHCP struct {
	Op, HType, HLen byte
	XID             uint32
	Client, Your    netip.Addr // ciaddr, yiaddr
	Hardware        [16]byte   // chaddr
	Options         []Option
}

// Marshal encodes the message and pads it to size bytes.
func (d *DHCP) Marshal(size int) []byte {
	b := make([]byte, 236)
	b[0], b[1], b[2] = d.Op, d.HType, d.HLen
	binary.BigEndian.PutUint32(b[4:], d.XID)
	if d.Client.Is4() {
		copy(b[12:], d.Client.AsSlice())
	}
	copy(b[28:], d.Hardware[:])
	b = append(b, 0x63, 0x82, 0x53, 0x63)
	for _, o := range d.Options {
		b = append(append(b, o.Type, byte(len(o.Value))), o.Value...)
	}
	b = append(b, 255)
	for len(b) < size {
		b = append(b, 0)
	}
	return b
}

// ParseDHCP decodes a message. It must end in option 255.
func ParseDHCP(b []byte) (*DHCP, error) {
	if len(b) < 240 || string(b[236:240]) != "\x63\x82\x53\x63" {
		return nil, errors.New("a DHCP message without magic cookie")
	}
	d := &DHCP{
		Op: b[0], HType: b[1], HLen: b[2], XID: binary.BigEndian.Uint32(b[4:]),
		Client: netip.AddrFrom4([4]byte(b[12:16])), Your: netip.AddrFrom4([4]byte(b[16:20])), Hardware: [16]byte(b[28:44]),
	}
	for rest := b[240:]; ; {
		if len(rest) == 0 {
			return nil, errors.New("a DHCP message without option 255")
		}
		switch {
		case rest[0] == 255:
			return d, nil
		case rest[0] == 0:
			rest = rest[1:]
		case len(rest) < 2 || len(rest) < 2+int(rest[1]):
			return nil, errors.New("a malformed DHCP option")
		default:
			d.Options = append(d.Options, Option{rest[0], rest[2 : 2+rest[1]]})
			rest = rest[2+rest[1]:]
		}
	}
}
