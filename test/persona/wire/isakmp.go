package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Payload types of RFC 2408 section 3.1, RFC 3947 section 8, and of the
// fragments of the FRAGMENTATION vendor ID.
const (
	PayloadSA       = 1
	PayloadKE       = 4
	PayloadID       = 5
	PayloadCert     = 6
	PayloadCertReq  = 7
	PayloadHash     = 8
	PayloadSig      = 9
	PayloadNonce    = 10
	PayloadNotify   = 11
	PayloadDelete   = 12
	PayloadVendor   = 13
	PayloadNATD     = 20
	PayloadNATOA    = 21
	PayloadFragment = 132
)

// Exchange types of RFC 2408 section 3.1 and RFC 2409.
const (
	MainMode      = 2
	Aggressive    = 4
	Informational = 5
	QuickMode     = 32
)

// Notify types of RFC 2408 section 3.14.1, RFC 2407 and RFC 3706.
const (
	InvalidExchange    = 7
	NoProposalChosen   = 14
	InvalidCertificate = 20
	InitialContact     = 24578
	RUThere            = 36136
	RUThereAck         = 36137
)

// HeaderLen is the length of an ISAKMP header.
const HeaderLen = 28

// Encrypted is the E bit of an ISAKMP header's flags.
const Encrypted = 1

// Payload is one ISAKMP payload without its generic header.
type Payload struct {
	Type byte
	Body []byte
}

// Message is one ISAKMP message. Body is what follows the header.
type Message struct {
	Initiator, Responder [8]byte
	First                byte
	Exchange             byte
	Flags                byte
	ID                   uint32
	Body                 []byte
}

// Chain joins payloads and returns the first one's type.
func Chain(list ...Payload) (first byte, b []byte) {
	for i, p := range list {
		next := byte(0)
		if i+1 < len(list) {
			next = list[i+1].Type
		}
		b = append(b, next, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.Body)+4))
		b = append(b, p.Body...)
	}
	if len(list) > 0 {
		first = list[0].Type
	}
	return first, b
}

// Payloads splits a chain. What follows the last payload is padding.
func Payloads(first byte, b []byte) ([]Payload, error) {
	var list []Payload
	for t := first; t != 0; {
		if len(b) < 4 {
			return nil, fmt.Errorf("payload %d has no room for its header", t)
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 4 || n > len(b) {
			return nil, fmt.Errorf("payload %d says that it has %d of %d bytes", t, n, len(b))
		}
		if b[1] != 0 {
			return nil, fmt.Errorf("payload %d has a reserved byte of %#x", t, b[1])
		}
		list = append(list, Payload{t, b[4:n]})
		t, b = b[0], b[n:]
	}
	return list, nil
}

// Marshal encodes the message.
func (m *Message) Marshal() []byte {
	b := append([]byte(nil), m.Initiator[:]...)
	b = append(b, m.Responder[:]...)
	b = append(b, m.First, 0x10, m.Exchange, m.Flags)
	b = binary.BigEndian.AppendUint32(b, m.ID)
	b = binary.BigEndian.AppendUint32(b, uint32(HeaderLen+len(m.Body)))
	return append(b, m.Body...)
}

// ParseMessage decodes a message.
func ParseMessage(b []byte) (*Message, error) {
	if len(b) < HeaderLen {
		return nil, errors.New("shorter than an ISAKMP header")
	}
	if b[17] != 0x10 {
		return nil, fmt.Errorf("ISAKMP version %#x", b[17])
	}
	if n := binary.BigEndian.Uint32(b[24:]); int(n) != len(b) {
		return nil, fmt.Errorf("an ISAKMP length of %d in a datagram of %d bytes", n, len(b))
	}
	m := &Message{First: b[16], Exchange: b[18], Flags: b[19], ID: binary.BigEndian.Uint32(b[20:]), Body: b[28:]}
	copy(m.Initiator[:], b)
	copy(m.Responder[:], b[8:])
	return m, nil
}

// Transform is one transform of a proposal; Attributes are its raw bytes.
type Transform struct {
	Number, ID byte
	Attributes []byte
}

// Proposal is one proposal of an SA payload.
type Proposal struct {
	Number, Protocol byte
	SPI              []byte
	Transforms       []Transform
}

// SABody encodes the body of an SA payload: the IPsec domain of
// interpretation, SIT_IDENTITY_ONLY, and the proposals.
func SABody(proposals ...Proposal) []byte {
	b := []byte{0, 0, 0, 1, 0, 0, 0, 1}
	for i, p := range proposals {
		var body []byte
		for k, t := range p.Transforms {
			body = append(body, more(k, len(p.Transforms), 3), 0)
			body = binary.BigEndian.AppendUint16(body, uint16(8+len(t.Attributes)))
			body = append(body, t.Number, t.ID, 0, 0)
			body = append(body, t.Attributes...)
		}
		b = append(b, more(i, len(proposals), 2), 0)
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(p.SPI)+len(body)))
		b = append(b, p.Number, p.Protocol, byte(len(p.SPI)), byte(len(p.Transforms)))
		b = append(append(b, p.SPI...), body...)
	}
	return b
}

func more(i, n int, t byte) byte {
	if i+1 < n {
		return t
	}
	return 0
}

var errSA = errors.New("a malformed SA payload")

// ParseSA decodes the body of an SA payload.
func ParseSA(b []byte) ([]Proposal, error) {
	if len(b) < 8 || binary.BigEndian.Uint32(b) != 1 || binary.BigEndian.Uint32(b[4:]) != 1 {
		return nil, errSA
	}
	var list []Proposal
	for b = b[8:]; len(b) > 0; {
		if len(b) < 8 {
			return nil, errSA
		}
		n, spi := int(binary.BigEndian.Uint16(b[2:])), int(b[6])
		if n < 8+spi || n > len(b) {
			return nil, errSA
		}
		p := Proposal{Number: b[4], Protocol: b[5], SPI: b[8 : 8+spi]}
		count := int(b[7])
		last := b[0] == 0
		for t := b[8+spi : n]; len(t) > 0; {
			if len(t) < 8 {
				return nil, errSA
			}
			k := int(binary.BigEndian.Uint16(t[2:]))
			if k < 8 || k > len(t) || t[0] == 0 != (k == len(t)) {
				return nil, errSA
			}
			p.Transforms = append(p.Transforms, Transform{t[4], t[5], t[8:k]})
			t = t[k:]
		}
		if count != len(p.Transforms) || last != (n == len(b)) {
			return nil, errSA
		}
		list = append(list, p)
		b = b[n:]
	}
	return list, nil
}

// TV encodes a short attribute, TLV4 a long one of four bytes.
func TV(t, v uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, t|0x8000), v)
}

// TLV4 encodes a variable-length attribute of four bytes.
func TLV4(t uint16, v uint32) []byte {
	b := binary.BigEndian.AppendUint16(nil, t)
	return binary.BigEndian.AppendUint32(append(b, 0, 4), v)
}

// Attributes decodes a transform's attributes; values are at most 8 bytes.
func Attributes(b []byte) (map[uint16]uint64, error) {
	all := map[uint16]uint64{}
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errSA
		}
		t, v := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if t&0x8000 != 0 {
			all[t&0x7fff], b = uint64(v), b[4:]
			continue
		}
		if int(v) > 8 || len(b) < 4+int(v) {
			return nil, errSA
		}
		x := uint64(0)
		for _, c := range b[4 : 4+v] {
			x = x<<8 | uint64(c)
		}
		all[t], b = x, b[4+v:]
	}
	return all, nil
}
