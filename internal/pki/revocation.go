package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"time"
)

// loadLists reads the revocation lists of a file, PEM or DER.
func loadLists(file string) ([]*x509.RevocationList, error) {
	blocks, err := pemBlocks(file)
	if err != nil {
		return nil, err
	}
	var ders [][]byte
	for _, b := range blocks {
		if b.Type == "X509 CRL" {
			ders = append(ders, b.Bytes)
		}
	}
	if len(blocks) == 0 {
		der, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		ders = [][]byte{der}
	}
	if len(ders) == 0 {
		return nil, fmt.Errorf("%s has no revocation list (BEGIN X509 CRL)", file)
	}
	var lists []*x509.RevocationList
	for _, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("%s is not a revocation list: %w", file, err)
		}
		lists = append(lists, l)
	}
	return lists, nil
}

// issuerOf returns the CA that signed a list.
func issuerOf(l *x509.RevocationList, cas []*x509.Certificate) *x509.Certificate {
	for _, c := range cas {
		if bytes.Equal(l.RawIssuer, c.RawSubject) && l.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// revocations is a list that was verified when it was read, not when it is used: anybody
// can show another's certificate, which is not a secret, and so make the server look it up.
type revocations struct {
	by      *x509.Certificate
	until   time.Time
	serials map[string]time.Time // when each was revoked
	digest  Digest
}

func revocationsOf(l *x509.RevocationList, by *x509.Certificate) revocations {
	r := revocations{by, l.NextUpdate, make(map[string]time.Time, len(l.RevokedCertificateEntries)), DigestOf(l.Raw)}
	for _, entry := range l.RevokedCertificateEntries {
		r.serials[serial(entry.SerialNumber)] = entry.RevocationTime
	}
	return r
}

func serial(n *big.Int) string { return n.Text(16) }

// of reports whether the list is of a CA: the same name and key.
func (r *revocations) of(ca *x509.Certificate) bool {
	return bytes.Equal(r.by.RawSubject, ca.RawSubject) && bytes.Equal(r.by.RawSubjectPublicKeyInfo, ca.RawSubjectPublicKeyInfo)
}

// revoked checks every certificate of a chain but its trust anchor against the
// lists of its issuer (RFC 5280, section 6.3).
func (a *Authority) revoked(now time.Time, chain []*x509.Certificate) error {
	for i, c := range chain[:len(chain)-1] {
		issuer := chain[i+1]
		current := false
		for j := range a.lists {
			l := &a.lists[j]
			if !l.of(issuer) {
				continue
			}
			if at, ok := l.serials[serial(c.SerialNumber)]; ok {
				return fmt.Errorf("%w: %s, on %s", ErrRevoked, Name(c), at.UTC().Format(time.DateOnly))
			}
			current = current || now.Before(l.until)
		}
		if a.strict && !current {
			return fmt.Errorf("%w: issuer %s", ErrRevocation, Name(issuer))
		}
	}
	return nil
}
