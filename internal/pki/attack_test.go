package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/pki/pkitest"
)

// certificate makes one as an attacker can: with any content, by any key.
func certificate(t *testing.T, template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	c := *template
	c.SerialNumber = big.NewInt(int64(len(c.Subject.CommonName)) + 1000)
	c.NotBefore, c.NotAfter, c.BasicConstraintsValid = now.Add(-time.Hour), now.Add(time.Hour), true
	if parent == nil {
		parent = &c
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// CAs of one name that have signed each other make a search for chains long.
// A certificate that a CA has really issued, which is not a secret, must not open
// the door to that search: only what CAs have signed takes part in it.
func TestForgedCAsAreNotSearched(t *testing.T) {
	ca, _ := newCA(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	public := client(t, ca, "somebody")
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "X"}, IsCA: true}
	keys := []*ecdsa.PrivateKey{newKey(t)}
	forged := []*x509.Certificate{certificate(t, template, nil, keys[0].Public(), keys[0])}
	for len(forged) < 6 {
		key := newKey(t)
		forged = append(forged, certificate(t, template, forged[len(forged)-1], key.Public(), keys[len(keys)-1]))
		keys = append(keys, key)
	}
	own := newKey(t)
	leaf := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, forged[5], own.Public(), keys[5])
	if v := a.vouched(append([]*x509.Certificate{leaf, public.Cert}, forged...)); len(v) != 1 || v[0] != public.Cert {
		t.Errorf("%d certificates are taken for the CA's, want the one that is", len(v))
	}
	list := [][]byte{leaf.Raw}
	for _, c := range forged {
		list = append(list, c.Raw)
	}
	if _, err := a.Verify(now, append(list, public.Cert.Raw)); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a forged chain with a true certificate beside it: %v", err)
	}
	// The first certificate is the peer's. That the peer has its key is proved by the
	// signature.
	p, err := a.Verify(now, [][]byte{public.Cert.Raw, leaf.Raw})
	if err != nil || p.Leaf != nil && p.Leaf.Subject.CommonName != "somebody" {
		t.Errorf("the peer is %v, %v", p.Leaf, err)
	}
}

// middle is a CA below another, with its key.
func middle(t *testing.T, ca *CA, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key := newKey(t)
	template.Subject, template.IsCA, template.KeyUsage = pkix.Name{CommonName: "middle"}, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	parent := *ca.Cert
	parent.MaxPathLen, parent.MaxPathLenZero = -1, false
	return certificate(t, template, &parent, key.Public(), ca.key), key
}

// root is a CA that may have others below it.
func root(t *testing.T) *CA {
	key := newKey(t)
	return &CA{Cert: certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "root"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, key.Public(), key), key: key}
}

// A CA that may only issue certificates of web servers cannot let VPN clients
// in, with certificates that do not say what they are for.
func TestACAForWebServersMakesNoClients(t *testing.T) {
	ca := root(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	for name, tt := range map[string]struct {
		usages  []x509.ExtKeyUsage
		unknown []asn1.ObjectIdentifier
		want    error
	}{
		"anything":         {nil, nil, nil},
		"web servers":      {[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil, ErrUsage},
		"servers, clients": {[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, nil, nil},
		"IPsec":            {nil, []asn1.ObjectIdentifier{oidIPsecIKE}, nil},
		"mail":             {[]x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, nil, ErrUsage},
	} {
		m, key := middle(t, ca, &x509.Certificate{ExtKeyUsage: tt.usages, UnknownExtKeyUsage: tt.unknown})
		leaf := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, m, newKey(t).Public(), key)
		if _, err := a.Verify(now, [][]byte{leaf.Raw, m.Raw}); !errors.Is(err, tt.want) {
			t.Errorf("a CA for %s: %v, want %v", name, err, tt.want)
		}
	}
}

// A client's certificate cannot be used as a CA's.
func TestAClientsCertificateIssuesNone(t *testing.T) {
	ca, _ := newCA(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	i := client(t, ca, "laptop")
	forged := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "boss"}}, i.Cert, newKey(t).Public(), i.Key)
	if _, err := a.Verify(now, [][]byte{forged.Raw, i.Cert.Raw}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("issued by a client: %v", err)
	}
	// The CA itself has no room for one below it.
	m, key := middle(t, ca, &x509.Certificate{})
	below := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "boss"}}, m, newKey(t).Public(), key)
	if _, err := a.Verify(now, [][]byte{below.Raw, m.Raw}); !errors.Is(err, ErrUsage) {
		t.Errorf("issued by a CA below one of path length 0: %v", err)
	}
}

// A list revokes the certificates of its CA alone, by name and key: another CA
// of that name, which is trusted too, may have used the same serial numbers.
func TestAListSpeaksOfItsCAAlone(t *testing.T) {
	ca, dir := newCA(t)
	twin, twinDir := newCA(t)
	gone := client(t, ca, "lost")
	if _, err := ca.Revoke("lost", now); err != nil {
		t.Fatal(err)
	}
	a, err := LoadAuthority(
		[]string{filepath.Join(dir, CAFile), filepath.Join(twinDir, CAFile)},
		[]string{filepath.Join(dir, CRLFile), filepath.Join(twinDir, CRLFile)}, true)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	same := certificateOf(t, gone.Cert.SerialNumber, twin, key)
	if _, err := a.Verify(now, [][]byte{same.Raw}); err != nil {
		t.Errorf("the same serial number of another CA: %v", err)
	}
	if _, err := a.Verify(now, [][]byte{gone.Cert.Raw}); !errors.Is(err, ErrRevoked) {
		t.Errorf("the revoked one: %v", err)
	}
}

func certificateOf(t *testing.T, serial *big.Int, ca *CA, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "other"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}, ca.Cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// CVE-2018-16151: data behind the hash in the encoded block of a PKCS #1 signature was
// not checked. With a public exponent of 3 such a block can be found without the key: the
// cube root of one whose hash is followed by room.
func TestCVE_2018_16151_CertificateSignedWithoutTheKey(t *testing.T) {
	key := pkitest.Exponent3(t)
	ca := &x509.Certificate{
		Version: 3, IsCA: true, BasicConstraintsValid: true, RawSubject: []byte{0x30, 0},
		PublicKeyAlgorithm: x509.RSA, PublicKey: &key.PublicKey,
	}
	signed := []byte("what a CA would sign")
	sum := sha256.Sum256(signed)
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, sum[:]...)
	forged := pkitest.Forge(t, &key.PublicKey, append([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, info...))
	if err := ca.CheckSignature(x509.SHA256WithRSA, signed, forged); !errors.Is(err, rsa.ErrVerification) {
		t.Errorf("a forged signature: %v", err)
	}
	good, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.CheckSignature(x509.SHA256WithRSA, signed, good); err != nil {
		t.Errorf("a true one: %v", err)
	}
}
