package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/adit-vpn/adit/internal/durable"
)

// The files of a CA's directory.
const (
	CAFile        = "ca.pem"
	CRLFile       = "crl.pem"
	ServerFile    = "server.pem"
	ServerKeyFile = "server.key"
	caKeyFile     = "ca.key"
	issuedDir     = "issued"
)

const (
	caLife = 10 * 365 * 24 * time.Hour
	// leafLife is the longest that operating systems are known to accept of a
	// server's certificate.
	leafLife = 825 * 24 * time.Hour
	// early is how long before its issue a certificate is valid, for clients
	// whose clocks are behind.
	early = 24 * time.Hour
)

// CA is a certificate authority of one level whose files are in a directory.
type CA struct {
	Cert *x509.Certificate
	dir  string
	key  crypto.Signer
}

// Issued is a certificate and its private key, fresh from the CA.
type Issued struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// KeyType is the algorithm of a key that is made.
type KeyType uint8

// The key types. The L2TP clients of Windows, macOS and iOS take only RSA.
const (
	RSA KeyType = iota
	ECDSA
)

func (t KeyType) make(bits int) (crypto.Signer, error) {
	if t == ECDSA {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, bits)
}

// CreateCA makes a CA in a directory, which is made too. It fails if there is
// one already: its certificates would be worth nothing without it.
func CreateCA(dir, name string, now time.Time) (*CA, error) {
	if err := os.MkdirAll(filepath.Join(dir, issuedDir), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the CA's directory: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Lstat(filepath.Join(dir, CAFile)); err == nil {
		return nil, fmt.Errorf("there is a CA in %s already: clients trust it, so that it is not replaced", dir)
	}
	key, err := RSA.make(3072)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-early), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	ca := &CA{Cert: cert, dir: dir, key: key}
	if err := writeKey(filepath.Join(dir, caKeyFile), key); err != nil {
		return nil, err
	}
	if err := ca.writeList(nil, now); err != nil {
		return nil, err
	}
	return ca, writeCertificates(filepath.Join(dir, CAFile), cert)
}

// OpenCA opens the CA of a directory. The error is fs.ErrNotExist if there is
// none.
func OpenCA(dir string) (*CA, error) {
	id, err := LoadIdentity(filepath.Join(dir, CAFile), filepath.Join(dir, caKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no CA in %s: adit cert ca makes one (%w)", dir, fs.ErrNotExist)
	} else if err != nil {
		return nil, err
	}
	return &CA{Cert: id.Chain[0], dir: dir, key: id.Key}, nil
}

// Server issues the server's certificate for the names and addresses that
// clients dial, and writes it with its key beside the CA's. The old one, if
// there is one, is replaced, and stays valid.
//
// Windows wants a name as it was dialled and server authentication, or IKE
// intermediate; Apple wants the name.
func (ca *CA) Server(names []string, t KeyType, now time.Time) (*Issued, error) {
	template := &x509.Certificate{
		Subject:            pkix.Name{CommonName: names[0]},
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		UnknownExtKeyUsage: ikeUsages(),
	}
	if err := setNames(template, names); err != nil {
		return nil, err
	}
	unlock, err := lock(ca.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	i, err := ca.issue(template, t, now)
	if err != nil {
		return nil, err
	}
	if err := writeKey(filepath.Join(ca.dir, ServerKeyFile), i.Key); err != nil {
		return nil, err
	}
	return i, writeCertificates(filepath.Join(ca.dir, ServerFile), i.Cert, ca.Cert)
}

// Client issues a certificate for one client, with organizational units if
// there are any. The key is kept nowhere but in the result.
func (ca *CA) Client(name string, t KeyType, now time.Time, units ...string) (*Issued, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return ca.issue(&x509.Certificate{
		Subject:            pkix.Name{CommonName: name, OrganizationalUnit: units},
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		UnknownExtKeyUsage: ikeUsages(),
		DNSNames:           dnsNames(name),
	}, t, now)
}

func (ca *CA) issue(template *x509.Certificate, t KeyType, now time.Time) (*Issued, error) {
	key, err := t.make(minRSA)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-early), now.Add(leafLife)
	if template.NotAfter.After(ca.Cert.NotAfter) {
		template.NotAfter = ca.Cert.NotAfter
	}
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if t == RSA {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	cert, err := sign(template, ca.Cert, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(ca.dir, issuedDir, fmt.Sprintf("%x.pem", cert.SerialNumber))
	return &Issued{cert, key}, writeCertificates(file, cert)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1)) // positive (RFC 5280, section 4.1.2.2)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func writeCertificates(file string, certs ...*x509.Certificate) error {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return replace(file, text, 0o644)
}

func writeKey(file string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer clear(text)
	defer clear(der)
	return replace(file, text, 0o600)
}

// replace writes a file in one step: a reader sees the old or the new one.
func replace(file string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone after the rename
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", file, err)
	}
	return durable.Rename(f.Name(), file)
}

// lock keeps other processes from changing the CA at the same time.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
