package isakmp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
)

func TestCertificatesInPKCS7(t *testing.T) {
	wrapped := vector(t, "certs.p7.hex")
	list, err := Cert{CertPKCS7, wrapped}.Certificates()
	if err != nil || len(list) != 2 {
		t.Fatalf("%d certificates, %v", len(list), err)
	}
	var names []string
	for _, der := range list {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Subject.CommonName)
	}
	if names[0] == names[1] || names[0] != "leaf" && names[1] != "leaf" {
		t.Errorf("the certificates are of %q", names)
	}
	for n := range wrapped {
		if list, err := (Cert{CertPKCS7, wrapped[:n]}).Certificates(); !errors.Is(err, ErrMalformed) {
			t.Fatalf("the first %d bytes hold %d certificates: %v", n, len(list), err)
		}
	}
}

func TestOtherCertificatePayloads(t *testing.T) {
	if list, err := (Cert{CertX509, []byte("der")}).Certificates(); err != nil || len(list) != 1 || string(list[0]) != "der" {
		t.Errorf("X.509: %q, %v", list, err)
	}
	if list, err := (Cert{7, []byte("a revocation list")}).Certificates(); err != nil || len(list) != 0 {
		t.Errorf("a revocation list: %q, %v", list, err)
	}
	if _, err := ParseCert([]byte{4}); !errors.Is(err, ErrMalformed) {
		t.Errorf("an empty certificate: %v", err)
	}
}

func FuzzPKCS7(f *testing.F) {
	f.Add(vector(f, "certs.p7.hex"))
	f.Add([]byte{0x30, 0x80, 6, 1, 1, 0xa0, 0x80, 0x30, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Cert{CertPKCS7, b}.Certificates()
		if err != nil && list != nil {
			t.Fatal("certificates and an error")
		}
		for _, der := range list {
			if len(der) < 2 || der[0] != 0x30 || !bytes.Contains(b, der) {
				t.Fatalf("%x is not part of %x", der, b)
			}
		}
	})
}
