package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Entry is a certificate that a CA has issued.
type Entry struct {
	Cert    *x509.Certificate
	Revoked time.Time // zero: it is not
}

// Entries are all certificates that the CA has issued, oldest first.
func (ca *CA) Entries() ([]Entry, error) {
	files, err := filepath.Glob(filepath.Join(ca.dir, issuedDir, "*.pem"))
	if err != nil {
		return nil, err
	}
	list, err := ca.list()
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, file := range files {
		certs, err := LoadCertificates(file)
		if err != nil {
			return nil, err
		}
		e := Entry{Cert: certs[0]}
		for _, r := range list {
			if r.SerialNumber.Cmp(e.Cert.SerialNumber) == 0 {
				e.Revoked = r.RevocationTime
			}
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Cert.NotBefore.Compare(b.Cert.NotBefore) })
	return entries, nil
}

// Revoke puts every certificate of that common name, or serial number in hex,
// on the revocation list, and returns those that were not on it.
func (ca *CA) Revoke(name string, now time.Time) ([]*x509.Certificate, error) {
	unlock, err := lock(ca.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	entries, err := ca.Entries()
	if err != nil {
		return nil, err
	}
	list, err := ca.list()
	if err != nil {
		return nil, err
	}
	found := false
	var gone []*x509.Certificate
	for _, e := range entries {
		if e.Cert.Subject.CommonName != name && !strings.EqualFold(fmt.Sprintf("%x", e.Cert.SerialNumber), name) {
			continue
		}
		found = true
		if e.Revoked.IsZero() {
			gone = append(gone, e.Cert)
			list = append(list, x509.RevocationListEntry{SerialNumber: e.Cert.SerialNumber, RevocationTime: now})
		}
	}
	if !found {
		return nil, fmt.Errorf("no certificate was issued to %q: adit cert list shows all", name)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, ca.writeList(list, now)
}

// list is what the CA has revoked.
func (ca *CA) list() ([]x509.RevocationListEntry, error) {
	lists, err := loadLists(filepath.Join(ca.dir, CRLFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return lists[0].RevokedCertificateEntries, nil
}

// writeList writes the revocation list. It is handed over as a file, so that
// its age says nothing: it does not run out before the CA does.
func (ca *CA) writeList(entries []x509.RevocationListEntry, now time.Time) error {
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(now.UnixNano()), ThisUpdate: now.Add(-early), NextUpdate: ca.Cert.NotAfter,
		RevokedCertificateEntries: entries,
	}, ca.Cert, ca.key)
	if err != nil {
		return err
	}
	return replace(filepath.Join(ca.dir, CRLFile), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644)
}

// WriteNew writes a file for the owner alone. It fails if there is one of that
// name.
func WriteNew(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
