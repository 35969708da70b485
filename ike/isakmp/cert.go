package isakmp

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// CertEncoding says what a certificate payload holds (RFC 2408, section 3.9).
type CertEncoding uint8

// Encodings.
const (
	CertPKCS7 CertEncoding = 1 // PKCS #7 wrapped X.509 certificates
	CertX509  CertEncoding = 4 // X.509 certificate, for signatures
)

// String names the encoding.
func (e CertEncoding) String() string {
	switch e {
	case CertPKCS7:
		return "PKCS #7"
	case CertX509:
		return "X.509"
	default:
		return fmt.Sprintf("certificate encoding %d", uint8(e))
	}
}

// Cert is a certificate payload.
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// Type implements Payload.
func (Cert) Type() PayloadType { return PayloadCert }

// AppendBody implements Payload.
func (c Cert) AppendBody(b []byte) []byte { return append(append(b, byte(c.Encoding)), c.Data...) }

// ParseCert reads the body of a certificate payload.
func ParseCert(body []byte) (Cert, error) {
	if len(body) < 2 {
		return Cert{}, malformed("certificate payload of %d bytes", len(body))
	}
	return Cert{CertEncoding(body[0]), body[1:]}, nil
}

// Certificates returns the X.509 certificates, in DER, that the payload holds.
// There are none if it holds something else, such as a revocation list.
func (c Cert) Certificates() ([][]byte, error) {
	switch c.Encoding {
	case CertX509:
		return [][]byte{c.Data}, nil
	case CertPKCS7:
		return unwrap(c.Data)
	default:
		return nil, nil
	}
}

// unwrap reads the certificates of a PKCS #7 SignedData without signers (RFC
// 2315, section 9.1).
func unwrap(der cryptobyte.String) (list [][]byte, err error) {
	var info, content, signed, certs cryptobyte.String
	var present bool
	explicit := asn1.Tag(0).ContextSpecific().Constructed()
	if !der.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&content, explicit) || !content.ReadASN1(&signed, asn1.SEQUENCE) ||
		!signed.SkipASN1(asn1.INTEGER) || !signed.SkipASN1(asn1.SET) || !signed.SkipASN1(asn1.SEQUENCE) ||
		!signed.ReadOptionalASN1(&certs, &present, explicit) {
		return nil, malformed("no PKCS #7 of certificates")
	}
	for !certs.Empty() {
		var c cryptobyte.String
		var tag asn1.Tag
		if !certs.ReadAnyASN1Element(&c, &tag) {
			return nil, malformed("a broken certificate in PKCS #7")
		}
		if tag == asn1.SEQUENCE { // the other forms are not X.509
			list = append(list, c)
		}
	}
	return list, nil
}

// CertRequest asks for a certificate of an authority (RFC 2408, section 3.10).
type CertRequest struct {
	Encoding  CertEncoding
	Authority []byte // DER of its name; empty: any
}

// Type implements Payload.
func (CertRequest) Type() PayloadType { return PayloadCertRequest }

// AppendBody implements Payload.
func (c CertRequest) AppendBody(b []byte) []byte {
	return append(append(b, byte(c.Encoding)), c.Authority...)
}

// ParseCertRequest reads the body of a certificate request.
func ParseCertRequest(body []byte) (CertRequest, error) {
	if len(body) < 1 {
		return CertRequest{}, malformed("empty certificate request")
	}
	return CertRequest{CertEncoding(body[0]), body[1:]}, nil
}

// Signature is a signature payload.
type Signature []byte

// Type implements Payload.
func (Signature) Type() PayloadType { return PayloadSignature }

// AppendBody implements Payload.
func (s Signature) AppendBody(b []byte) []byte { return append(b, s...) }
