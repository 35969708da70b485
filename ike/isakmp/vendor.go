package isakmp

// VendorID is a vendor ID payload (RFC 2408, section 3.16). It may be empty.
type VendorID []byte

// Type implements Payload.
func (VendorID) Type() PayloadType { return PayloadVendorID }

// AppendBody implements Payload.
func (v VendorID) AppendBody(b []byte) []byte { return append(b, v...) }
