package isakmp

import (
	"net/netip"
)

// NATD is a NAT discovery payload: the hash of an address and port (RFC 3947,
// section 3.2).
type NATD struct {
	Hash  []byte
	Draft bool // the payload number of the drafts
}

// Type implements Payload.
func (n NATD) Type() PayloadType {
	if n.Draft {
		return PayloadNATDDraft
	}
	return PayloadNATD
}

// AppendBody implements Payload.
func (n NATD) AppendBody(b []byte) []byte { return append(b, n.Hash...) }

// NATOA is a NAT original address payload (RFC 3947, section 5.2).
type NATOA struct {
	Addr  netip.Addr
	Draft bool // the payload number of the drafts
}

// Type implements Payload.
func (n NATOA) Type() PayloadType {
	if n.Draft {
		return PayloadNATOADraft
	}
	return PayloadNATOA
}

// AppendBody implements Payload.
func (n NATOA) AppendBody(b []byte) []byte {
	id := AddrID(n.Addr, 0, 0)
	b = append(b, byte(id.Kind), 0, 0, 0)
	return append(b, id.Data...)
}

// ParseNATOA reads the body of a NAT original address payload of either
// number; the three reserved bytes are ignored.
func ParseNATOA(body []byte) (netip.Addr, error) {
	if len(body) < 4 {
		return netip.Addr{}, malformed("NAT-OA payload of %d bytes", len(body))
	}
	addr := ID{Kind: IDType(body[0]), Data: body[4:]}.Addr()
	if !addr.IsValid() {
		return netip.Addr{}, malformed("NAT-OA payload of type %d with %d bytes", body[0], len(body)-4)
	}
	return addr, nil
}
