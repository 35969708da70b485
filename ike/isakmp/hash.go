package isakmp

// Hash is a hash payload (RFC 2408, section 3.11).
type Hash []byte

// Type implements Payload.
func (Hash) Type() PayloadType { return PayloadHash }

// AppendBody implements Payload.
func (h Hash) AppendBody(b []byte) []byte { return append(b, h...) }

// ParseHash reads the body of a hash payload. It does not check the length, which
// depends on the negotiated hash.
func ParseHash(body []byte) (Hash, error) {
	if len(body) == 0 {
		return nil, malformed("empty hash payload")
	}
	return Hash(body), nil
}
