package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
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
	lists  []revocations
	strict bool
}

// Peer is who a verified certificate speaks of.
type Peer struct {
	Leaf        *x509.Certificate
	Fingerprint [sha256.Size]byte // of the leaf as DER
}

// maxCertificates bounds what one peer may show.
const maxCertificates = 8

// maxRSA bounds RSA keys, in bits: anybody can send a chain that costs time to verify,
// before it turns out that no trusted CA has signed it.
const maxRSA = 8192

// LoadAuthority reads trusted CAs and revocation lists from files: CAs as PEM,
// lists as PEM or DER. Strict refuses a certificate whose issuer has no current
// list here; otherwise lists are used if there are any, even old ones.
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
			ca := issuerOf(l, cas)
			if ca == nil {
				return nil, fmt.Errorf("%s: the revocation list of %q is signed by no CA that is trusted here", file, l.Issuer)
			}
			a.lists = append(a.lists, revocationsOf(l, ca))
		}
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

// Names are the subjects of the trusted CAs as DER, which a certificate request carries
// (RFC 2408, section 3.10).
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
	var all []*x509.Certificate
	for _, der := range certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return Peer{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSA {
			return Peer{}, fmt.Errorf("%w: an RSA key of %d bits", ErrMalformed, k.N.BitLen())
		}
		all = append(all, c)
	}
	own := slices.IndexFunc(all, func(c *x509.Certificate) bool { return !c.IsCA })
	if own < 0 {
		return Peer{}, fmt.Errorf("%w: the peer sent the certificates of CAs only", ErrMalformed)
	}
	leaf, between := all[own], x509.NewCertPool()
	vouched := a.vouched(all)
	if !slices.Contains(vouched, leaf) {
		return Peer{}, fmt.Errorf("%s: %w (its issuer is %q)", Name(leaf), ErrUntrusted, leaf.Issuer)
	}
	for _, c := range vouched {
		if c.IsCA {
			between.AddCert(c)
		}
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
	if err := a.anyGood(now, chains); err != nil {
		return Peer{}, fmt.Errorf("%s: %w", Name(leaf), err)
	}
	return Peer{Leaf: leaf, Fingerprint: sha256.Sum256(leaf.Raw)}, nil
}

// vouched returns those of a peer's certificates that one of the CAs has signed,
// or a CA that is signed so itself. Chains are searched for among these alone:
// among others, which anybody can make, the search can cost a hundred
// verifications. Here every key that verifies is that of a CA that is trusted.
func (a *Authority) vouched(certs []*x509.Certificate) (list []*x509.Certificate) {
	left := slices.Clone(certs)
	for issuers := a.cas; len(issuers) > 0; {
		var next []*x509.Certificate
		left = slices.DeleteFunc(left, func(c *x509.Certificate) bool {
			signed := slices.ContainsFunc(issuers, func(ca *x509.Certificate) bool {
				return bytes.Equal(c.RawIssuer, ca.RawSubject) && c.CheckSignatureFrom(ca) == nil
			})
			if signed {
				list = append(list, c)
				if c.IsCA {
					next = append(next, c)
				}
			}
			return signed
		})
		issuers = next
	}
	return list
}

// anyGood reports whether in one of the chains nothing is revoked, and every CA
// may issue such certificates.
func (a *Authority) anyGood(now time.Time, chains [][]*x509.Certificate) (err error) {
	for _, chain := range chains {
		if err = a.revoked(now, chain); err != nil {
			continue
		}
		if err = meant(chain); err == nil {
			return nil
		}
	}
	return err
}

// meant checks what the CAs between the leaf and the trust anchor may issue: by common
// practice the extended key usage of a CA limits those of the certificates below it.
func meant(chain []*x509.Certificate) error {
	for i := 1; i < len(chain)-1; i++ {
		if !usable(chain[i]) {
			return fmt.Errorf("%w: its CA %s is not meant for client authentication or IPsec", ErrUsage, Name(chain[i]))
		}
	}
	return nil
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
	if !usable(c) {
		return fmt.Errorf("%w: its extended key usage has neither client authentication nor IPsec", ErrUsage)
	}
	return nil
}

// usable reports whether an extended key usage, where there is one, is that of
// clients.
func usable(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		switch u {
		case x509.ExtKeyUsageAny, x509.ExtKeyUsageClientAuth,
			x509.ExtKeyUsageIPSECEndSystem, x509.ExtKeyUsageIPSECTunnel, x509.ExtKeyUsageIPSECUser:
			return true
		default:
			return false
		}
	}) || slices.ContainsFunc(c.UnknownExtKeyUsage, func(oid asn1.ObjectIdentifier) bool {
		return oid.Equal(oidIKEIntermediate) || oid.Equal(oidIPsecIKE)
	})
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
