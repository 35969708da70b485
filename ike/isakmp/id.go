package isakmp

import (
	"encoding/binary"
	"net/netip"
)

// ID is an identification payload (RFC 2407, section 4.6.2).
type ID struct {
	Kind     IDType
	Protocol uint8  // IP protocol, 0: any
	Port     uint16 // 0: any
	Data     []byte
}

// AddrID makes an identification payload of an address.
func AddrID(addr netip.Addr, protocol uint8, port uint16) ID {
	addr = addr.Unmap()
	kind := IDIPv6Addr
	if addr.Is4() {
		kind = IDIPv4Addr
	}
	return ID{kind, protocol, port, addr.AsSlice()}
}

// Type implements Payload.
func (ID) Type() PayloadType { return PayloadID }

// AppendBody implements Payload.
func (i ID) AppendBody(b []byte) []byte {
	b = append(b, byte(i.Kind), i.Protocol)
	b = binary.BigEndian.AppendUint16(b, i.Port)
	return append(b, i.Data...)
}

// Addr returns the address of an identification of type ID_IPV4_ADDR or
// ID_IPV6_ADDR, else the zero Addr. Bytes after the address are padding.
func (i ID) Addr() netip.Addr {
	switch {
	case i.Kind == IDIPv4Addr && len(i.Data) >= 4:
		return netip.AddrFrom4([4]byte(i.Data))
	case i.Kind == IDIPv6Addr && len(i.Data) >= 16:
		return netip.AddrFrom16([16]byte(i.Data))
	default:
		return netip.Addr{}
	}
}

// ParseID reads the body of an identification payload.
func ParseID(body []byte) (ID, error) {
	if len(body) < 4 {
		return ID{}, malformed("identification of %d bytes", len(body))
	}
	id := ID{IDType(body[0]), body[1], binary.BigEndian.Uint16(body[2:]), body[4:]}
	addr := id.Kind == IDIPv4Addr || id.Kind == IDIPv6Addr
	if addr && !id.Addr().IsValid() {
		return ID{}, malformed("address identification of %d bytes", len(id.Data))
	}
	return id, nil
}
