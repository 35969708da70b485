package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// Reasons for which a peer's certificate is refused. Errors of Verify are one
// of them to errors.Is, and say more.
var (
	ErrMalformed  = errors.New("the certificate cannot be read")
	ErrUntrusted  = errors.New("the certificate comes from no CA that is trusted here")
	ErrExpired    = errors.New("the certificate is not valid at this time")
	ErrRevoked    = errors.New("the certificate is revoked")
	ErrRevocation = errors.New("there is no current revocation list for the certificate")
	ErrUsage      = errors.New("the certificate is not meant for this use")
	ErrWeak       = errors.New("the certificate is too weak")
)

// Authority judges certificates: the CAs that are trusted, and what they have
// revoked. It is immutable.
type Authority struct {
	cas    []*x509.Certificate
	roots  *x509.CertPool
	lists  []*x509.RevocationList
	strict bool
}

// Peer is who a verified certificate speaks of.
type Peer struct {
	Leaf        *x509.Certificate
	Fingerprint [sha256.Size]byte // of the leaf as DER
}

// maxCertificates bounds what one peer may show.
const maxCertificates = 8

// maxRSA bounds RSA keys, in bits: anybody may send a chain whose links cost
// time to verify, before it turns out that nothing holds it.
const maxRSA = 8192

// LoadAuthority reads trusted CAs and revocation lists from files: CAs as PEM,
// lists as PEM or DER. Strict refuses a certificate whose issuer has no current
// list here; otherwise lists are obeyed where there are some, old ones too.
func LoadAuthority(caFiles, crlFiles []string, strict bool) (*Authority, error) {
	var cas []*x509.Certificate
	for _, file := range caFiles {
		list, err := LoadCertificates(file)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if !c.IsCA {
				return nil, fmt.Errorf("%s: %s is not the certificate of a CA", file, Name(c))
			}
		}
		cas = append(cas, list...)
	}
	a := NewAuthority(cas, strict)
	for _, file := range crlFiles {
		list, err := loadLists(file)
		if err != nil {
			return nil, err
		}
		for _, l := range list {
			if issuerOf(l, cas) == nil {
				return nil, fmt.Errorf("%s: the revocation list of %q is signed by no CA that is trusted here", file, l.Issuer)
			}
		}
		a.lists = append(a.lists, list...)
	}
	return a, nil
}

// NewAuthority returns an Authority that trusts these CAs.
func NewAuthority(cas []*x509.Certificate, strict bool) *Authority {
	a := &Authority{cas: cas, roots: x509.NewCertPool(), strict: strict}
	for _, c := range cas {
		a.roots.AddCert(c)
	}
	return a
}

// Names are the subjects of the trusted CAs, as DER: what a certificate request
// carries (RFC 2408, section 3.10).
func (a *Authority) Names() [][]byte {
	names := make([][]byte, len(a.cas))
	for i, c := range a.cas {
		names[i] = c.RawSubject
	}
	return names
}

// Verify judges a peer's certificates, which come as DER, the leaf first or
// wherever it is, with intermediates in any order. now is the time that they
// must be valid at.
func (a *Authority) Verify(now time.Time, certificates [][]byte) (Peer, error) {
	if len(certificates) == 0 || len(certificates) > maxCertificates {
		return Peer{}, fmt.Errorf("%w: the peer sent %d certificates", ErrMalformed, len(certificates))
	}
	var leaf *x509.Certificate
	anchored := false
	between := x509.NewCertPool()
	for _, der := range certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return Peer{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSA {
			return Peer{}, fmt.Errorf("%w: an RSA key of %d bits", ErrMalformed, k.N.BitLen())
		}
		anchored = anchored || a.issued(c)
		if leaf == nil && !c.IsCA {
			leaf = c
			continue
		}
		between.AddCert(c)
	}
	if leaf == nil {
		return Peer{}, fmt.Errorf("%w: the peer sent the certificates of CAs only", ErrMalformed)
	}
	if !anchored {
		return Peer{}, fmt.Errorf("%s: %w (its issuer is %q)", Name(leaf), ErrUntrusted, leaf.Issuer)
	}
	// A critical extended key usage is one that x509 knows.
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return Peer{}, fmt.Errorf("%s: %w", Name(leaf), reason(err))
	}
	if err := fit(leaf); err != nil {
		return Peer{}, fmt.Errorf("%s: %w", Name(leaf), err)
	}
	if err := a.anyValid(now, chains); err != nil {
		return Peer{}, fmt.Errorf("%s: %w", Name(leaf), err)
	}
	return Peer{Leaf: leaf, Fingerprint: sha256.Sum256(leaf.Raw)}, nil
}

// issued reports whether one of the CAs made c, and c is no CA that is trusted
// anyway. Whoever has nothing of the kind gets no search for chains, which can be
// made to cost a hundred verifications.
func (a *Authority) issued(c *x509.Certificate) bool {
	for _, ca := range a.cas {
		if bytes.Equal(c.Raw, ca.Raw) {
			return false
		}
	}
	for _, ca := range a.cas {
		if bytes.Equal(c.RawIssuer, ca.RawSubject) && ca.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil {
			return true
		}
	}
	return false
}

// anyValid reports whether one of the chains has nothing revoked in it.
func (a *Authority) anyValid(now time.Time, chains [][]*x509.Certificate) (err error) {
	for _, chain := range chains {
		if err = a.revoked(now, chain); err == nil {
			return nil
		}
	}
	return err
}

// reason says which of our reasons an error of crypto/x509 is.
func reason(err error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w (its issuer is %q)", ErrUntrusted, unknown.Cert.Issuer)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w: %s is valid from %s to %s", ErrExpired, Name(invalid.Cert),
			invalid.Cert.NotBefore.UTC().Format(time.DateTime), invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	case errors.As(err, &invalid):
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return fmt.Errorf("%w: %w", ErrUntrusted, err)
}

// The extended key usages that speak of IKE and that crypto/x509 has no names
// for: iKEIntermediate, and id-kp-ipsecIKE (RFC 4945, section 5.1.3.12).
var (
	oidIKEIntermediate = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 2, 2}
	oidIPsecIKE        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 17}
)

// fit checks what the leaf says about its own use.
//
// RFC 4945, section 5.1.3.2: "If the KeyUsage extension is present ... at least
// one of digitalSignature and nonRepudiation bits must be set". Section 5.1.3.12
// wants anyExtendedKeyUsage or ipsecIKE where there is an extended key usage.
//
// Deviation: clientAuth and the older IPsec usages do too. They are what
// Windows' templates and every how-to put into clients' certificates.
func fit(c *x509.Certificate) error {
	if err := sound(c.PublicKey); err != nil {
		return fmt.Errorf("%w: %w", ErrWeak, err)
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return fmt.Errorf("%w: its key usage has no digital signature", ErrUsage)
	}
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return nil
	}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny, x509.ExtKeyUsageClientAuth,
			x509.ExtKeyUsageIPSECEndSystem, x509.ExtKeyUsageIPSECTunnel, x509.ExtKeyUsageIPSECUser:
			return nil
		default:
		}
	}
	for _, oid := range c.UnknownExtKeyUsage {
		if oid.Equal(oidIKEIntermediate) || oid.Equal(oidIPsecIKE) {
			return nil
		}
	}
	return fmt.Errorf("%w: its extended key usage has neither client authentication nor IPsec", ErrUsage)
}

// Name is how a certificate is called in logs: its common name, else its first
// alternative name, else its serial number. The text is the peer's.
func Name(c *x509.Certificate) string {
	name := fmt.Sprintf("serial %x", c.SerialNumber)
	switch {
	case c.Subject.CommonName != "":
		name = c.Subject.CommonName
	case len(c.DNSNames) > 0:
		name = c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		name = c.EmailAddresses[0]
	}
	if len(name) > maxName {
		name = name[:maxName]
	}
	return fmt.Sprintf("%q", name)
}

const maxName = 96 // bytes
