package eap

import (
	"encoding/binary"
	"fmt"
)

// Codes of EAP (RFC 3748, section 4).
const (
	codeRequest  = 1
	codeResponse = 2
)

// Type is a type of a Request and a Response: a method, or what comes before one (RFC 3748,
// section 5, and the IANA's registry).
type Type uint8

// Types.
const (
	typeIdentity Type = 1
	typeNak      Type = 3
	TLS          Type = 13 // RFC 5216
	MSCHAPv2     Type = 26 // draft-kamath-pppext-eap-mschapv2-02
)

func (t Type) String() string {
	switch t {
	case typeIdentity:
		return "Identity"
	case typeNak:
		return "Nak"
	case 4:
		return "MD5-Challenge"
	case 5:
		return "One-Time Password"
	case 6:
		return "Generic Token Card"
	case TLS:
		return "EAP-TLS"
	case 21:
		return "EAP-TTLS"
	case 25:
		return "PEAP"
	case MSCHAPv2:
		return "EAP-MSCHAPv2"
	case 43:
		return "EAP-FAST"
	case 55:
		return "TEAP"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// response is a Response.
type response struct {
	id   byte
	kind Type
	data []byte
}

// parse reads a Response. Bytes after its length are padding (RFC 3748, section 4).
func parse(b []byte) (response, bool) {
	if len(b) < 5 || b[0] != codeResponse {
		return response{}, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 5 || n > len(b) {
		return response{}, false
	}
	return response{b[1], Type(b[4]), b[5:n]}, true
}

// request is a Request.
func request(id byte, t Type, data []byte) []byte {
	b := append(make([]byte, 0, 5+len(data)), codeRequest, id)
	b = binary.BigEndian.AppendUint16(b, uint16(5+len(data)))
	return append(append(b, byte(t)), data...)
}
