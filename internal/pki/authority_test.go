package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// newCA makes a CA in a directory of the test's own.
func newCA(t testing.TB) (*CA, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	ca, err := CreateCA(dir, "a CA", now)
	if err != nil {
		t.Fatal(err)
	}
	return ca, dir
}

func client(t testing.TB, ca *CA, name string) *Issued {
	t.Helper()
	i, err := ca.Client(name, ECDSA, now)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAClientOfTheCAIsTrustedAndAnothersIsNot(t *testing.T) {
	ca, _ := newCA(t)
	other, _ := newCA(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	i := client(t, ca, "laptop-7")

	p, err := a.Verify(now, [][]byte{i.Cert.Raw})
	if err != nil {
		t.Fatal(err)
	}
	if Name(p.Leaf) != `"laptop-7"` {
		t.Errorf("the peer is %s", Name(p.Leaf))
	}
	// Windows and others send the CA along, in any order.
	if _, err := a.Verify(now, [][]byte{ca.Cert.Raw, i.Cert.Raw}); err != nil {
		t.Errorf("with the CA in front: %v", err)
	}
	stranger := client(t, other, "laptop-7")
	if _, err := a.Verify(now, [][]byte{stranger.Cert.Raw, other.Cert.Raw}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a certificate of another CA that came along: %v", err)
	}
	if _, err := a.Verify(now, [][]byte{stranger.Cert.Raw, ca.Cert.Raw}); !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "a CA") {
		t.Errorf("a certificate of another CA with ours beside it: %v", err)
	}
	if !bytes.Equal(a.Names()[0], ca.Cert.RawSubject) {
		t.Error("Names is not the CA's subject")
	}
}

func TestWhatIsWrongWithACertificateIsSaid(t *testing.T) {
	ca, _ := newCA(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	good := client(t, ca, "laptop")
	if _, err := a.Verify(now.Add(leafLife+time.Hour), [][]byte{good.Cert.Raw}); !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "2032") {
		t.Errorf("an expired one: %v", err)
	}
	if _, err := a.Verify(now.Add(-2*early), [][]byte{good.Cert.Raw}); !errors.Is(err, ErrExpired) {
		t.Errorf("one of the future: %v", err)
	}
	server, err := ca.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ECDSA, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(now, [][]byte{server.Cert.Raw}); !errors.Is(err, ErrUsage) {
		t.Errorf("a web server's: %v", err)
	}
	if _, err := a.Verify(now, [][]byte{ca.Cert.Raw}); !errors.Is(err, ErrMalformed) {
		t.Errorf("only a CA: %v", err)
	}
	if _, err := a.Verify(now, [][]byte{good.Cert.Raw[:99]}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a cut one: %v", err)
	}
	if _, err := a.Verify(now, make([][]byte, maxCertificates+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too many: %v", err)
	}
}

func TestUsagesThatIPsecCertificatesHaveInPractice(t *testing.T) {
	ca, _ := newCA(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		c    x509.Certificate
		want error
	}{
		"no usages at all":        {x509.Certificate{}, nil},
		"any":                     {x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}, nil},
		"ipsecUser":               {x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageIPSECUser}}, nil},
		"IKE intermediate":        {x509.Certificate{UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidIKEIntermediate}}, nil},
		"non-repudiation":         {x509.Certificate{KeyUsage: x509.KeyUsageContentCommitment}, nil},
		"code signing":            {x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}, ErrUsage},
		"key encipherment alone":  {x509.Certificate{KeyUsage: x509.KeyUsageKeyEncipherment}, ErrUsage},
		"an unknown usage, alone": {x509.Certificate{UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 2, 3}}}, ErrUsage},
	} {
		x.c.Subject = pkix.Name{CommonName: "host"}
		x.c.NotBefore, x.c.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
		c, err := sign(&x.c, ca.Cert, key.Public(), ca.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Verify(now, [][]byte{c.Raw}); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWeakKeyIsRefused(t *testing.T) {
	ca, _ := newCA(t)
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sign(&x509.Certificate{NotBefore: now, NotAfter: now.Add(time.Hour)}, ca.Cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewAuthority([]*x509.Certificate{ca.Cert}, false).Verify(now, [][]byte{c.Raw}); !errors.Is(err, ErrWeak) {
		t.Errorf("1024 bits: %v", err)
	}
}

func TestARevokedCertificateIsRefused(t *testing.T) {
	ca, dir := newCA(t)
	lost, kept := client(t, ca, "lost"), client(t, ca, "kept")
	gone, err := ca.Revoke("lost", now)
	if err != nil || len(gone) != 1 || gone[0].SerialNumber.Cmp(lost.Cert.SerialNumber) != 0 {
		t.Fatal(gone, err)
	}
	if again, err := ca.Revoke("lost", now); err != nil || len(again) != 0 {
		t.Errorf("revoked twice: %v, %v", again, err)
	}
	if _, err := ca.Revoke("nobody", now); err == nil {
		t.Error("nobody was revoked")
	}
	a, err := LoadAuthority([]string{filepath.Join(dir, CAFile)}, []string{filepath.Join(dir, CRLFile)}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(now, [][]byte{lost.Cert.Raw}); !errors.Is(err, ErrRevoked) {
		t.Errorf("a revoked one: %v", err)
	}
	if _, err := a.Verify(now, [][]byte{kept.Cert.Raw}); err != nil {
		t.Errorf("another one: %v", err)
	}
	entries, err := ca.Entries()
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if e.Revoked.IsZero() == (e.Cert.Subject.CommonName == "lost") {
			t.Errorf("%s: revoked %v", Name(e.Cert), e.Revoked)
		}
	}
}

func TestStrictWantsACurrentList(t *testing.T) {
	ca, dir := newCA(t)
	i := client(t, ca, "laptop")
	strict := NewAuthority([]*x509.Certificate{ca.Cert}, true)
	if _, err := strict.Verify(now, [][]byte{i.Cert.Raw}); !errors.Is(err, ErrRevocation) {
		t.Errorf("without a list: %v", err)
	}
	_, other := newCA(t)
	if _, err := LoadAuthority([]string{filepath.Join(dir, CAFile)}, []string{filepath.Join(other, CRLFile)}, false); err == nil {
		t.Error("a list of a CA that nobody trusts was loaded")
	}
}

func TestAnIdentityIsLoadedOnlyIfItIsKeptPrivateAndFits(t *testing.T) {
	ca, dir := newCA(t)
	if _, err := ca.Server([]string{"vpn.example.com", "192.0.2.1"}, RSA, now); err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, ServerFile), filepath.Join(dir, ServerKeyFile)
	id, err := LoadIdentity(cert, key)
	if err != nil || len(id.Chain) != 2 {
		t.Fatal(id, err)
	}
	if err := id.Chain[0].VerifyHostname("vpn.example.com"); err != nil {
		t.Error(err)
	}
	if err := id.Chain[0].VerifyHostname("192.0.2.1"); err != nil {
		t.Error(err)
	}
	if _, err := LoadIdentity(filepath.Join(dir, CAFile), key); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("a key with another's certificate: %v", err)
	}
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(cert, key); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that the group can read: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	ca, _ := newCA(f)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	i := client(f, ca, "laptop")
	f.Add(i.Cert.Raw)
	f.Add(ca.Cert.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := a.Verify(now, [][]byte{der, ca.Cert.Raw})
		if err == nil && !bytes.Equal(p.Leaf.RawIssuer, ca.Cert.RawSubject) {
			t.Error("somebody else's certificate was trusted")
		}
	})
}

// Chains that cost much to verify are refused before anything is verified.
func TestEnormousKeysAreRefusedUnseen(t *testing.T) {
	ca, _ := newCA(t)
	a := NewAuthority([]*x509.Certificate{ca.Cert}, false)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := new(big.Int).SetBit(big.NewInt(1), maxRSA, 1)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "big"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: n, E: 65537}, key)
	if err != nil {
		t.Fatal(err)
	}
	good := client(t, ca, "laptop")
	if _, err := a.Verify(now, [][]byte{good.Cert.Raw, der}); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "8193 bits") {
		t.Errorf("an RSA key of %d bits: %v", n.BitLen(), err)
	}
}
