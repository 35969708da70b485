package ike

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// sign signs HASH_I or HASH_R.
//
// RFC 2409, section 5.1: RSA signatures "MUST be encoded as a private key
// encryption in PKCS #1 format and not as a signature in PKCS #1 format (which
// includes the OID of the hash algorithm)".
func (i *Identity) sign(rand io.Reader, hash []byte) ([]byte, error) {
	m := i.method()
	curve := m.curve()
	if curve == nil {
		return i.Key.Sign(rand, hash, crypto.Hash(0))
	}
	der, err := i.Key.Sign(rand, hash, map[AuthMethod]crypto.Hash{
		AuthECDSA256: crypto.SHA256, AuthECDSA384: crypto.SHA384, AuthECDSA521: crypto.SHA512,
	}[m])
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	// RFC 4754, section 7: the signature is r and s, each as long as the curve's
	// order.
	n := (curve.Params().BitSize + 7) / 8
	b := make([]byte, 2*n)
	sig.R.FillBytes(b[:n])
	sig.S.FillBytes(b[n:])
	return b, nil
}

// verify checks a signature of HASH_I or HASH_R.
func (m AuthMethod) verify(public crypto.PublicKey, hash, sig []byte) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if m != AuthRSA {
			break
		}
		if rsa.VerifyPKCS1v15(key, crypto.Hash(0), hash, sig) != nil {
			return ErrSignature
		}
		return nil
	case *ecdsa.PublicKey:
		curve := m.curve()
		if curve == nil || key.Curve != curve {
			break
		}
		n := (curve.Params().BitSize + 7) / 8
		if len(sig) != 2*n || !ecdsa.Verify(key, hash, new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])) {
			return ErrSignature
		}
		return nil
	}
	return fmt.Errorf("%w: the certificate's key makes no %v", ErrSignature, m)
}

// speaksOf reports whether the certificate names what the identification names, as
// its subject or as one of its alternative names (RFC 4945, section 3.1).
func (c *PeerCert) speaksOf(id isakmp.ID) bool {
	text := string(id.Data)
	same := func(name string) bool { return text != "" && strings.EqualFold(name, text) }
	switch id.Kind {
	case isakmp.IDDERASN1DN:
		return bytes.Equal(id.Data, c.Subject) || sameName(id.Data, c.Subject)
	case isakmp.IDFQDN:
		return slices.ContainsFunc(c.DNS, same)
	case isakmp.IDUserFQDN:
		return slices.ContainsFunc(c.Emails, same)
	case isakmp.IDIPv4Addr, isakmp.IDIPv6Addr:
		return slices.ContainsFunc(c.IPs, func(a netip.Addr) bool { return a.Unmap() == id.Addr().Unmap() })
	default:
		return false
	}
}

// sameName compares distinguished names. Their strings may have different types
// (RFC 5280, section 7.1).
func sameName(a, b []byte) bool {
	var x, y pkix.RDNSequence
	if rest, err := asn1.Unmarshal(a, &x); err != nil || len(rest) > 0 || len(x) == 0 {
		return false
	}
	if rest, err := asn1.Unmarshal(b, &y); err != nil || len(rest) > 0 {
		return false
	}
	return slices.EqualFunc(x, y, func(x, y pkix.RelativeDistinguishedNameSET) bool {
		return slices.EqualFunc(x, y, func(x, y pkix.AttributeTypeAndValue) bool {
			return x.Type.Equal(y.Type) && plain(x.Value) == plain(y.Value)
		})
	})
}

// plain is an attribute's value without the differences that a comparison ignores.
func plain(v any) string { return strings.ToLower(strings.Join(strings.Fields(fmt.Sprint(v)), " ")) }

// describeID formats an identification for an error. The text in it comes from the
// peer.
func describeID(id isakmp.ID) string {
	switch a := id.Addr(); {
	case a.IsValid():
		return a.String()
	case id.Kind == isakmp.IDDERASN1DN:
		var name pkix.RDNSequence
		if _, err := asn1.Unmarshal(id.Data, &name); err == nil {
			return fmt.Sprintf("%.96q", name.String())
		}
		return "a name that cannot be read"
	default:
		return fmt.Sprintf("%.96q", id.Data)
	}
}
