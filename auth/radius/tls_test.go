package radius

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"layeh.com/radius"
)

// tlsServer is a RadSec server in memory.
type tlsServer struct {
	config  *tls.Config
	answer  func(p *radius.Packet) []byte
	closed  atomic.Bool
	mu      sync.Mutex
	open    []net.Conn
	dialled []time.Time
	seen    [][]*radius.Packet // by connection
}

// dial is a Config's Dial.
func (s *tlsServer) dial(_ context.Context, network, _ string) (net.Conn, error) {
	if network != "tcp" {
		return nil, fmt.Errorf("RadSec falls back to %s", network)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialled = append(s.dialled, time.Now())
	if s.closed.Load() {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := pipe()
	conn, n := tls.Server(theirs, s.config), len(s.seen)
	s.open, s.seen = append(s.open, conn), append(s.seen, nil)
	go s.serve(conn, n)
	return ours, nil
}

func (s *tlsServer) serve(conn net.Conn, n int) {
	defer conn.Close()
	var write sync.Mutex
	for buf := make([]byte, radius.MaxPacketLength); ; {
		b, err := receive(conn, true, buf)
		if err != nil {
			return
		}
		p, err := radius.Parse(b, []byte(radsec))
		if err != nil {
			return
		}
		s.mu.Lock()
		s.seen[n] = append(s.seen[n], p)
		s.mu.Unlock()
		go func() {
			if reply := s.answer(p); reply != nil {
				write.Lock()
				defer write.Unlock()
				_, _ = conn.Write(reply)
			}
		}()
	}
}

// hangUp closes every connection.
func (s *tlsServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open {
		go c.Close()
	}
	s.open = nil
}

// ca issues certificates for tests. A bubble's clock begins in 2000.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{}
	c.cert, c.key = c.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return c
}

func (c *ca) issue(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Unix(0, 0), time.Unix(1<<33, 0)
	parent, by := c.cert, c.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (c *ca) leaf(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	cert, key := c.issue(t, template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (c *ca) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.cert)
	return p
}

// serveTLS makes a RadSec server whose certificate is for names, and a client of it, which
// sends accounting there, too.
func serveTLS(t *testing.T, version uint16, answer func(*radius.Packet) []byte) (*tlsServer, *Client) {
	t.Helper()
	a := newCA(t)
	s := &tlsServer{answer: answer, config: &tls.Config{
		Certificates: []tls.Certificate{a.leaf(t, &x509.Certificate{DNSNames: []string{"radius.example"}})},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: a.pool(), MinVersion: version, MaxVersion: version,
	}}
	c, err := New(Config{NASIdentifier: "adit", Dial: s.dial, Servers: []Server{{
		Address: "radius.example:2083", Accounting: "radius.example:2083",
		TLS: &TLS{Roots: a.pool(), Certificate: a.leaf(t, &x509.Certificate{Subject: pkix.Name{CommonName: "adit"}}), ID: "1"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); s.hangUp() })
	return s, c
}

// signedTLS is signed with RadSec's secret.
func signedTLS(p *radius.Packet, code radius.Code) []byte { return signedWith(p, radsec, code, nil) }

func instantly(p *radius.Packet) []byte {
	if p.Code == radius.CodeAccountingRequest {
		return unsigned(p, radius.CodeAccountingResponse)
	}
	return signedTLS(p, radius.CodeAccessAccept)
}
