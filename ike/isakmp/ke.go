package isakmp

// KE is a key exchange payload: a public value (RFC 2408, section 3.7).
type KE []byte

// Type implements Payload.
func (KE) Type() PayloadType { return PayloadKE }

// AppendBody implements Payload.
func (k KE) AppendBody(b []byte) []byte { return append(b, k...) }

// ParseKE reads the body of a KE payload. It does not check the length, which
// depends on the group.
func ParseKE(body []byte) (KE, error) {
	if len(body) == 0 {
		return nil, malformed("empty KE payload")
	}
	return KE(body), nil
}
