package ike

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// testCA is a root with one intermediate, and the Authority that trusts it.
type testCA struct {
	root, middle       *x509.Certificate
	rootKey, middleKey crypto.Signer
	group              string
	err                error // what Verify returns
}

func (ca *testCA) Names() [][]byte { return [][]byte{ca.root.RawSubject} }

func (ca *testCA) Verify(now time.Time, certs [][]byte) (PeerCert, error) {
	if ca.err != nil {
		return PeerCert{}, ca.err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca.root)
	var leaf *x509.Certificate
	for _, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return PeerCert{}, err
		}
		if leaf == nil && !c.IsCA {
			leaf = c
		}
		between.AddCert(c)
	}
	if leaf == nil {
		return PeerCert{}, errors.New("no certificate of its own")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return PeerCert{}, err
	}
	p := PeerCert{
		Name: leaf.Subject.CommonName, Group: ca.group, Subject: leaf.RawSubject, DNS: leaf.DNSNames, Emails: leaf.EmailAddresses,
		PublicKey: leaf.PublicKey, Fingerprint: sha256.Sum256(leaf.Raw),
	}
	for _, ip := range leaf.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		p.IPs = append(p.IPs, a.Unmap())
	}
	return p, nil
}

func newCA() *testCA {
	ca := &testCA{rootKey: newKey(AuthECDSA256), middleKey: newKey(AuthECDSA256)}
	ca.root = issue("root", ca.rootKey.Public(), nil, ca.rootKey)
	ca.middle = issue("middle", ca.middleKey.Public(), ca.root, ca.rootKey)
	return ca
}

// identity makes a certificate that the intermediate signs.
func (ca *testCA) identity(name string, key crypto.Signer) *Identity {
	c := issue(name, key.Public(), ca.middle, ca.middleKey)
	return &Identity{Chain: [][]byte{c.Raw, ca.middle.Raw}, Subject: c.RawSubject, Key: key}
}

func issue(name string, public crypto.PublicKey, by *x509.Certificate, with crypto.Signer) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name, Organization: []string{"Adit Test"}},
		NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(24 * time.Hour), BasicConstraintsValid: true,
		IsCA: name == "root" || name == "middle",
	}
	if !c.IsCA {
		c.DNSNames, c.EmailAddresses, c.IPAddresses = []string{name + ".example"}, []string{name + "@example"}, []net.IP{{10, 0, 0, 2}}
	}
	if by == nil {
		by = c
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, c, by, public, with))))
}

func newKey(m AuthMethod) crypto.Signer {
	if m == AuthRSA {
		return must(rsa.GenerateKey(rand.Reader, 2048))
	}
	return must(ecdsa.GenerateKey(m.curve(), rand.Reader))
}

var (
	theCA  = sync.OnceValue(newCA)
	rsaKey = [2]func() crypto.Signer{
		sync.OnceValue(func() crypto.Signer { return newKey(AuthRSA) }), sync.OnceValue(func() crypto.Signer { return newKey(AuthRSA) }),
	}
)

// signedPair is a client and a server that have certificates.
func signedPair(t testing.TB, m AuthMethod) *pair {
	p := newPair(t)
	for i, e := range []*end{p.client, p.server} {
		key := rsaKey[i]
		if m != AuthRSA {
			key = func() crypto.Signer { return newKey(m) }
		}
		e.env.Policy.PSKs = nil
		ca := *theCA()
		e.env.Policy.Identity, e.env.Policy.Authority = ca.identity(e.name, key()), &ca
	}
	p.client.env.Policy.Suites = []Suite{{CipherAES, 128, HashSHA1, GroupECP256}, {CipherAES, 256, HashSHA1, GroupECP256}}
	return p
}
