package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"
)

// san is an extension with one user principal name.
func san(t *testing.T, upn string) pkix.Extension {
	t.Helper()
	text, err := asn1.MarshalWithParams(upn, "utf8")
	if err != nil {
		t.Fatal(err)
	}
	type other struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	b, err := asn1.Marshal(other{oidUPN, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text}})
	if err != nil {
		t.Fatal(err)
	}
	var inner asn1.RawValue
	if _, err := asn1.Unmarshal(b, &inner); err != nil {
		t.Fatal(err)
	}
	list, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner.Bytes},
		{Class: asn1.ClassContextSpecific, Tag: 1, Bytes: []byte("alice@example.com")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oidAlternativeName, Value: list}
}

func TestUserNames(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		cn, upn string
		want    []string
	}{
		{"Alice", "alice@corp.example", []string{"Alice", "alice@corp.example", "alice@example.com"}},
		{"alice\x00.evil", "al\x00ice", []string{"alice@example.com"}},
		{"", "", []string{"alice@example.com"}},
	} {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: tt.cn}, NotAfter: time.Unix(1<<33, 0), ExtraExtensions: []pkix.Extension{san(t, tt.upn)}}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		read, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if got := UserNames(read); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.upn, got, tt.want)
		}
	}
}

func FuzzPrincipals(f *testing.F) {
	f.Add([]byte{0x30, 0x04, 0xa0, 0x02, 0x06, 0x00})
	f.Fuzz(func(_ *testing.T, b []byte) {
		principals(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidAlternativeName, Value: b}}})
	})
}
