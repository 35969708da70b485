package isakmp

// Nonce is a nonce payload (RFC 2408, section 3.13).
type Nonce []byte

// Type implements Payload.
func (Nonce) Type() PayloadType { return PayloadNonce }

// AppendBody implements Payload.
func (n Nonce) AppendBody(b []byte) []byte { return append(b, n...) }

// ParseNonce reads the body of a nonce payload.
//
// RFC 2409, section 5: "The length of nonce payload MUST be between 8 and 256
// bytes inclusive."
func ParseNonce(body []byte) (Nonce, error) {
	if len(body) < 8 || len(body) > 256 {
		return nil, malformed("nonce of %d bytes", len(body))
	}
	return Nonce(body), nil
}
