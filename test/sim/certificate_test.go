package sim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/client"
)

// office is a CA and the Authority that trusts it.
type office struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (o *office) Names() [][]byte { return [][]byte{o.cert.RawSubject} }

func (o *office) Verify(_ time.Time, certs [][]byte) (ike.PeerCert, error) {
	if len(certs) == 0 {
		return ike.PeerCert{}, errors.New("no certificate")
	}
	c, err := x509.ParseCertificate(certs[0])
	if err != nil {
		return ike.PeerCert{}, err
	}
	if err := c.CheckSignatureFrom(o.cert); err != nil {
		return ike.PeerCert{}, err
	}
	return ike.PeerCert{Name: c.Subject.CommonName, Subject: c.RawSubject, PublicKey: c.PublicKey, Fingerprint: sha256.Sum256(c.Raw)}, nil
}

// identity issues a certificate. It is as large as those of companies: together with its
// issuer's certificate it does not fit a datagram.
func (o *office) identity(name string, key crypto.Signer) *ike.Identity {
	c := o.issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: []string{"Adit"}},
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 55555, 1}, Value: bytes.Repeat([]byte{5}, 1500)}},
	}, key.Public())
	return &ike.Identity{Chain: [][]byte{c.Raw, o.cert.Raw}, Subject: c.RawSubject, Key: key}
}

func (o *office) issue(c *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1<<33, 0)
	by := o.cert
	if by == nil {
		by = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, o.key)
	if err != nil {
		panic(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return parsed
}

func newOffice() *office {
	o := &office{key: ecKey()}
	o.cert = o.issue(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
	}, o.key.Public())
	return o
}

func ecKey() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

var rsaKeys = sync.OnceValue(func() [2]crypto.Signer {
	var keys [2]crypto.Signer
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// with makes both ends authenticate by certificates alone.
func with(o *office, name string, key crypto.Signer) func(*vpn.Policy) {
	return func(p *vpn.Policy) {
		p.IKE.PSKs = nil
		p.IKE.Identity, p.IKE.Authority = o.identity(name, key), o
	}
}

// Clients with certificates connect through a NAT, over a path that loses every datagram
// of more than 1280 bytes, as many paths do with IP fragments; and phase 1 is renewed.
func TestCertificatesOverAPathWithoutLargePackets(t *testing.T) {
	o := newOffice()
	for name, keys := range map[string][2]crypto.Signer{"RSA": rsaKeys(), "ECDSA": {ecKey(), ecKey()}} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, Options{Policy: with(o, "server", keys[0])})
				large := 0
				w.Net.SetPolicy(udptest.Policy{Delay: time.Millisecond, Drop: func(d udptest.Datagram) bool {
					if len(d.Data) > 1280-40-8 {
						large++
						return true
					}
					return false
				}})
				l := w.Laptop(w.Net.NAT("198.51.100.1").Host("10.0.0.2"), func(c *client.Config) { c.Change = with(o, "laptop", keys[1]) })
				d, err := l.Connect(ServerAddr)
				if err != nil {
					t.Fatal(err)
				}
				passes(t, w, l, d, 1)
				for i, port := range []uint16{client.NATTPort, client.IKEPort} {
					if _, last := rephases(t, w, l, d, i+2, port); last.Peer.Cert != "laptop" {
						t.Fatalf("on port %d: phase 1 is %+v, want the laptop's certificate", port, last)
					}
					passes(t, w, l, d, uint32(10+i))
				}
				if large > 0 {
					t.Errorf("%d datagrams did not fit the path", large)
				}
			})
		})
	}
}

// Two clients behind one NAT have the same inner address and a certificate each: neither
// joins the other's connection.
func TestAnotherCertificateIsAnotherClient(t *testing.T) {
	o := newOffice()
	in(t, func(t *testing.T) {
		w := New(t, Options{Policy: with(o, "server", ecKey())})
		h := w.Net.Host("198.51.100.7")
		l := w.Laptop(h, func(c *client.Config) { c.Change = with(o, "laptop", ecKey()) })
		d, err := l.Connect(ServerAddr)
		if err != nil {
			t.Fatal(err)
		}
		d.Vanish()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		// the same address, ports and name, but another key
		l = w.Laptop(h, func(c *client.Config) { c.Change = with(o, "laptop", ecKey()) })
		if d, err = l.Connect(ServerAddr); err != nil {
			t.Fatal(err)
		}
		passes(t, w, l, d, 1)
		up := All[vpn.PhaseOneUp](w.Events)
		if len(up) != 2 || up[1].Adopted || up[0].Conn == up[1].Conn {
			t.Errorf("phases 1: %+v, want two connections", up)
		}
	})
}

func TestAForeignCertificateIsRefusedWithAReason(t *testing.T) {
	o, foreign := newOffice(), newOffice()
	in(t, func(t *testing.T) {
		w := New(t, Options{Policy: with(o, "server", ecKey())})
		l := w.Laptop(w.Net.Host("198.51.100.7"), func(c *client.Config) {
			c.Change = with(foreign, "laptop", ecKey())
		})
		if _, err := l.Connect(ServerAddr); err == nil {
			t.Error("a foreign certificate was accepted")
		}
		refused := 0
		for _, e := range All[vpn.PacketRefused](w.Events) {
			if errors.Is(e.Why, ike.ErrCertificate) {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("nobody said why: %+v", All[vpn.PacketRefused](w.Events))
		}
		time.Sleep(time.Minute)
		w.WantNothingLeft(t)
	})
}
