package radius

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 2869, section 5.14 is HMAC-MD5
	"errors"
	"fmt"

	"layeh.com/radius"
	"layeh.com/radius/rfc2869"
)

// errNotOurs marks a reply to another request.
var errNotOurs = errors.New("reply to another request")

// encode writes a request. It fills in the Message-Authenticator of an Access-Request
// (RFC 2869, section 5.14) and of a Status-Server, which layeh.com/radius does not do.
func encode(p *radius.Packet) ([]byte, error) {
	b, err := p.Encode()
	if err != nil || p.Code != radius.CodeAccessRequest && p.Code != radius.CodeStatusServer {
		return b, err
	}
	at, _ := messageAuthenticator(b)
	if at == 0 {
		return nil, errors.New("radius: a request without Message-Authenticator")
	}
	copy(b[at:at+16], hmacMD5(b, p.Secret))
	return b, nil
}

// messageAuthenticator finds the value of the attribute, where there is one and it can be
// one; found is how many there are. The packet's lengths have been checked.
func messageAuthenticator(b []byte) (at, found int) {
	for i := 20; i+2 <= len(b) && b[i+1] >= 2 && i+int(b[i+1]) <= len(b); i += int(b[i+1]) {
		if b[i] != byte(rfc2869.MessageAuthenticator_Type) {
			continue
		}
		found++
		if b[i+1] == 18 {
			at = i + 2
		}
	}
	return at, found
}

func hmacMD5(b, secret []byte) []byte {
	h := hmac.New(md5.New, secret)
	h.Write(b)
	return h.Sum(nil)
}

// verify checks that b answers the request: identifier, response
// authenticator (RFC 2865, section 3), and for replies to an Access-Request
// the Message-Authenticator, unless unsigned ones are allowed.
func verify(b []byte, p *pending, unsigned bool) (*radius.Packet, error) {
	if len(b) < 20 || int(b[2])<<8|int(b[3]) < 20 || int(b[2])<<8|int(b[3]) > len(b) {
		return nil, errNotOurs
	}
	b = b[:int(b[2])<<8|int(b[3])] // RFC 2865, section 3: octets outside are padding
	code := radius.Code(b[0])
	if b[1] != p.packet.Identifier || !answers(p, code) {
		return nil, errNotOurs
	}
	if !radius.IsAuthenticResponse(b, p.request, p.packet.Secret) {
		return nil, ErrForged
	}
	reply, err := radius.Parse(b, p.packet.Secret)
	switch {
	case err != nil && code == radius.CodeAccountingResponse:
		return p.packet.Response(code), nil // it carries nothing else: its arrival is the answer
	case err != nil:
		return nil, unreadable(b)
	}
	if code != radius.CodeAccountingResponse && code != codeProtocolError {
		if err := checkSigned(b, p.packet, unsigned); err != nil {
			return nil, err
		}
	}
	// Attributes hidden with the request's authenticator are opened with it.
	reply.Authenticator = p.packet.Authenticator
	return reply, nil
}

// unreadable says which attribute of an authentic reply has a wrong length.
func unreadable(b []byte) error {
	i := 20
	for i+2 <= len(b) && b[i+1] >= 2 && i+int(b[i+1]) <= len(b) {
		i += int(b[i+1])
	}
	kind := radius.Type(b[i])
	name := "attribute"
	if a := known[key{0, b[i]}]; a != nil {
		name = a.name
	}
	if i+2 > len(b) {
		return fmt.Errorf("%w: %s (%d) at byte %d is cut off", ErrUnreadable, name, kind, i)
	}
	return fmt.Errorf("%w: %s (%d) at byte %d has the length %d, and %d bytes are left", ErrUnreadable, name, kind, i, b[i+1], len(b)-i)
}

// codeProtocolError says over TLS that the server cannot do what was asked (RFC 7930, section 4).
const codeProtocolError radius.Code = 52

// answers reports whether a reply's code is one for the request. RFC 5997, section 3: a
// Status-Server is answered as what its port is for.
func answers(p *pending, code radius.Code) bool {
	status := p.packet.Code == radius.CodeStatusServer
	switch code {
	case radius.CodeAccountingResponse:
		return p.accounting || status && p.link.stream
	case radius.CodeAccessAccept:
		return !p.accounting || status && p.link.stream
	case radius.CodeAccessReject, radius.CodeAccessChallenge:
		return !p.accounting && !status
	case codeProtocolError:
		return p.link.stream
	}
	return false
}

// checkSigned verifies the Message-Authenticator of a reply: computed over it
// with the request's authenticator and the attribute's value zero.
//
// Without it a reply can be forged (CVE-2024-3596): whoever is in the path makes the
// response authenticator of an Access-Reject that of an Access-Accept, by attributes that
// the server reflects. Where in the reply it stands does not matter, as it covers all of
// it; two of them, or one of another length, are no signature.
func checkSigned(b []byte, p *radius.Packet, unsigned bool) error {
	at, found := messageAuthenticator(b)
	if found == 0 {
		// RFC 3579, section 3.2: one with an EAP-Message "MUST" have it.
		if unsigned && p.Get(rfc2869.EAPMessage_Type) == nil {
			return nil
		}
		return ErrUnsigned
	}
	if found > 1 || at == 0 {
		return ErrForged
	}
	signed := append([]byte(nil), b...)
	copy(signed[4:20], p.Authenticator[:])
	clear(signed[at : at+16])
	if !hmac.Equal(hmacMD5(signed, p.Secret), b[at:at+16]) {
		return ErrForged
	}
	return nil
}

// ofServer reports whether an error is about a reply that the server itself has sent: it
// would send the same again.
func ofServer(err error) bool { return errors.Is(err, ErrUnsigned) || errors.Is(err, ErrUnreadable) }
