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

// encode writes a request. An Access-Request has its Message-Authenticator
// filled in (RFC 2869, section 5.14), and so has a Status-Server; layeh's packets
// leave that to us.
func encode(p *radius.Packet) ([]byte, error) {
	b, err := p.Encode()
	if err != nil || p.Code != radius.CodeAccessRequest && p.Code != radius.CodeStatusServer {
		return b, err
	}
	at, ok := messageAuthenticator(b)
	if !ok {
		return nil, errors.New("radius: a request without Message-Authenticator")
	}
	copy(b[at:at+16], hmacMD5(b, p.Secret))
	return b, nil
}

// messageAuthenticator finds the value of the attribute. The packet's lengths
// have been checked.
func messageAuthenticator(b []byte) (at int, ok bool) {
	for i := 20; i+2 <= len(b) && b[i+1] >= 2 && i+int(b[i+1]) <= len(b); i += int(b[i+1]) {
		if b[i] == byte(rfc2869.MessageAuthenticator_Type) {
			return i + 2, b[i+1] == 18
		}
	}
	return 0, false
}

func hmacMD5(b, secret []byte) []byte {
	h := hmac.New(md5.New, secret)
	h.Write(b)
	return h.Sum(nil)
}

// verify checks that b answers the request: identifier, response
// authenticator (RFC 2865, section 3), and for replies to an Access-Request
// the Message-Authenticator.
func (c *Client) verify(b, request []byte, p *radius.Packet, k kind) (*radius.Packet, error) {
	if len(b) < 20 || int(b[2])<<8|int(b[3]) < 20 || int(b[2])<<8|int(b[3]) > len(b) {
		return nil, errNotOurs
	}
	b = b[:int(b[2])<<8|int(b[3])] // RFC 2865, section 3: octets outside are padding
	if b[1] != p.Identifier || !answers(k, radius.Code(b[0])) {
		return nil, errNotOurs
	}
	if !radius.IsAuthenticResponse(b, request, p.Secret) {
		return nil, ErrForged
	}
	reply, err := radius.Parse(b, p.Secret)
	switch {
	case err != nil && k == accounting:
		return p.Response(radius.Code(b[0])), nil // that it came is all that it says
	case err != nil:
		return nil, unreadable(b)
	}
	if k == authentication {
		if err := c.checkSigned(b, p); err != nil {
			return nil, err
		}
	}
	// Attributes hidden with the request's authenticator are opened with it.
	reply.Authenticator = p.Authenticator
	return reply, nil
}

// unreadable says which attribute of an authentic reply has a wrong length.
func unreadable(b []byte) error {
	i := 20
	for i+2 <= len(b) && b[i+1] >= 2 && i+int(b[i+1]) <= len(b) {
		i += int(b[i+1])
	}
	kind := radius.Type(b[i])
	name := attributes[kind].name
	if name == "" {
		name = "attribute"
	}
	if i+2 > len(b) {
		return fmt.Errorf("%w: %s (%d) at byte %d is cut off", ErrUnreadable, name, kind, i)
	}
	return fmt.Errorf("%w: %s (%d) at byte %d has the length %d, and %d bytes are left", ErrUnreadable, name, kind, i, b[i+1], len(b)-i)
}

func answers(k kind, code radius.Code) bool {
	if k == accounting {
		return code == radius.CodeAccountingResponse
	}
	return code == radius.CodeAccessAccept || code == radius.CodeAccessReject || code == radius.CodeAccessChallenge
}

// checkSigned verifies the Message-Authenticator of a reply: computed over it
// with the request's authenticator and the attribute's value zero.
func (c *Client) checkSigned(b []byte, p *radius.Packet) error {
	at, ok := messageAuthenticator(b)
	if !ok {
		if c.cfg.AllowUnsigned {
			return nil
		}
		return ErrUnsigned
	}
	signed := append([]byte(nil), b...)
	copy(signed[4:20], p.Authenticator[:])
	clear(signed[at : at+16])
	if !hmac.Equal(hmacMD5(signed, p.Secret), b[at:at+16]) {
		return ErrForged
	}
	return nil
}
