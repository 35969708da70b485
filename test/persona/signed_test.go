package persona

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// signers are the clients that can use certificates, and the variants that nobody has
// seen on a wire.
var signers = []func() Profile{
	func() Profile { return Windows10(WindowsOptions{Length: true, Inform: true, Certificate: true}) },
	func() Profile {
		return named("Windows 10, certificate in PKCS #7", Windows10(WindowsOptions{Certificate: true, PKCS7: true, RequestIn3: true}))
	},
	func() Profile { return Windows7(WindowsOptions{Length: true, Inform: true, Certificate: true}) },
	func() Profile { return RRAS(RRASOptions{Length: true, Certificate: true}) },
	func() Profile { return Apple(AppleOptions{Ack: 200 * time.Millisecond, Certificate: true}) },
	func() Profile { return Android(AndroidOptions{Deletes: true, Certificate: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{Certificate: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{Libreswan: true, Certificate: true}) },
}

// office is a CA with certificates of every kind.
type office struct {
	ca                               *x509.Certificate
	authority                        *pki.Authority
	server, misnamed, good           *pki.Issued
	expired, revoked, foreign, stray *pki.Issued // of clients, and of a server from another CA
}

// dialled is the name of the server.
const dialled = "vpn.example.com"

func check[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// theOffice is made only once, because keys take time. Bubbles begin in the year 2000.
var theOffice = sync.OnceValue(func() *office {
	dir := check(os.MkdirTemp("", "office"))
	defer func() { _ = os.RemoveAll(dir) }()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	ca := check(pki.CreateCA(filepath.Join(dir, "ca"), "The office's CA", now))
	other := check(pki.CreateCA(filepath.Join(dir, "other"), "Another CA", now))
	o := &office{
		ca:       ca.Cert,
		misnamed: check(ca.Server([]string{"www.example.com"}, pki.RSA, now)),
		server:   check(ca.Server([]string{dialled, sim.ServerAddr, "192.0.2.99"}, pki.RSA, now)),
		good:     check(ca.Client("laptop", pki.RSA, now)),
		expired:  check(ca.Client("old", pki.RSA, now.AddDate(-3, 0, 0))),
		revoked:  check(ca.Client("stolen", pki.RSA, now)),
		foreign:  check(other.Client("laptop", pki.RSA, now)),
		stray:    check(other.Server([]string{dialled}, pki.RSA, now)),
	}
	check(ca.Revoke("stolen", now))
	o.authority = check(pki.LoadAuthority([]string{filepath.Join(dir, "ca", pki.CAFile)}, []string{filepath.Join(dir, "ca", pki.CRLFile)}, false))
	return o
})

// Names implements ike.Authority.
func (o *office) Names() [][]byte { return o.authority.Names() }

// Verify implements ike.Authority.
func (o *office) Verify(now time.Time, certs [][]byte) (ike.PeerCert, error) {
	p, err := o.authority.Verify(now, certs)
	if err != nil {
		return ike.PeerCert{}, err
	}
	return ike.PeerCert{
		Name: pki.Name(p.Leaf), Subject: p.Leaf.RawSubject, DNS: p.Leaf.DNSNames,
		PublicKey: p.Leaf.PublicKey, Fingerprint: p.Fingerprint,
	}, nil
}

// identifies makes a server use only a certificate.
func (o *office) identifies(i *pki.Issued) func(*vpn.Policy) {
	return func(p *vpn.Policy) {
		p.IKE.PSKs = nil
		p.IKE.Identity = &ike.Identity{Chain: [][]byte{i.Cert.Raw}, Subject: i.Cert.RawSubject, Key: i.Key}
		p.IKE.Authority = o
	}
}

// policyOf returns the server policy that a client needs.
func policyOf(p Profile) func(*vpn.Policy) {
	if p.IKE.Signs == nil {
		return nil
	}
	return theOffice().identifies(theOffice().server)
}

// accountOf returns the account with which a client is configured.
func accountOf(p Profile) Account {
	if p.IKE.Signs == nil {
		return account
	}
	return holder(theOffice().good)
}

// holder is an account with a certificate.
func holder(i *pki.Issued) Account {
	a := account
	a.PSK, a.Dialled = "", dialled
	a.Certificate, a.Key, a.CA = i.Cert, i.Key.(*rsa.PrivateKey), theOffice().ca
	return a
}

// eachSigner plays a scenario with every client that can use certificates.
func eachSigner(t *testing.T, play func(t *testing.T, p Profile)) {
	t.Helper()
	theOffice()
	for _, make := range signers {
		p := make()
		t.Run(p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { play(t, p) })
		})
	}
}

func TestClientsWithCertificatesConnectRenewTheirKeysAndLeave(t *testing.T) {
	type place = func(t *testing.T, p Profile) (*sim.World, Account, *udptest.Host)
	nat := func(w *sim.World) *udptest.Host { return w.Net.NAT("198.51.100.7").Host("192.168.1.10") }
	for name, at := range map[string]place{
		"directly": func(t *testing.T, p Profile) (*sim.World, Account, *udptest.Host) {
			w := sim.New(t, sim.Options{Policy: policyOf(p)})
			return w, accountOf(p), w.Net.Host("198.51.100.7")
		},
		"behind a NAT": func(t *testing.T, p Profile) (*sim.World, Account, *udptest.Host) {
			w := sim.New(t, sim.Options{Policy: policyOf(p)})
			return w, accountOf(p), nat(w)
		},
		"to a server behind a NAT, by its address": func(t *testing.T, p Profile) (*sim.World, Account, *udptest.Host) {
			w, a := serverBehindNAT(t, p)
			a.Dialled = ""
			return w, a, w.Net.Host("198.51.100.7")
		},
		"through NATs at both ends": func(t *testing.T, p Profile) (*sim.World, Account, *udptest.Host) {
			w, a := serverBehindNAT(t, p)
			return w, a, nat(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachSigner(t, func(t *testing.T, p Profile) {
				w, a, h := at(t, p)
				c := online(t, p, a, h)
				passes(t, w, c, 1)
				if err := c.Rekey(); err != nil {
					t.Error(err)
				}
				passes(t, w, c, 11)
				if err := c.Rephase(); err != nil {
					t.Error(err)
				}
				passes(t, w, c, 21)
				up := sim.All[vpn.PhaseOneUp](w.Events)
				if len(up) != 2 || !up[1].Adopted || up[1].Peer.Auth != ike.AuthRSA || up[0].Peer.Cert != pki.Name(a.Certificate) {
					t.Errorf("phases 1 = %+v, want one that joins another", up)
				}
				leaves(t, w, c)
			})
		})
	}
}

// Many networks lose packets that do not fit a datagram of 1280 bytes.
func TestClientsWithCertificatesConnectWhereLargeDatagramsAreLost(t *testing.T) {
	eachSigner(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{Policy: policyOf(p)})
		own, servers := 0, 0
		w.Net.SetPolicy(udptest.Policy{Drop: func(d udptest.Datagram) bool {
			large := len(d.Data)+28 > 1280
			switch {
			case large && d.Src.Addr() == account.Server:
				servers++
			case large:
				own++
			}
			return large
		}})
		c := start(t, p, accountOf(p), w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		c.Lossless = true
		if err := c.Dial(); err != nil {
			t.Fatalf("it does not connect: %v", err)
		}
		time.Sleep(time.Second)
		passes(t, w, c, 1)
		if err := c.Rephase(); err != nil {
			t.Error(err)
		}
		passes(t, w, c, 11)
		if servers > 0 || own > 0 == p.IKE.FragmentAtOnce {
			t.Errorf("of the server %d large datagrams were lost, of the client %d", servers, own)
		}
		leaves(t, w, c)
	})
}

// The server's certificate is from another CA, or has another name than the one dialled.
// Clients that check names do not connect, and report the reason themselves.
func TestClientsRefuseTheWrongServer(t *testing.T) {
	eachSigner(t, func(t *testing.T, p Profile) {
		o := theOffice()
		for _, tt := range []struct {
			i    *pki.Issued
			want string
		}{{o.stray, "is not trusted"}, {o.misnamed, "is not of what was dialled"}} {
			w := sim.New(t, sim.Options{Policy: o.identifies(tt.i)})
			c := start(t, p, accountOf(p), w.Net.Host("198.51.100.7"))
			err := c.Dial()
			if tt.i == o.misnamed && p.IKE.Signs.AnyName {
				if err != nil {
					t.Errorf("it does not connect: %v", err)
				}
				continue
			}
			if !errors.As(err, new(*Ended)) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it ended with %v, want %q", err, tt.want)
			}
		}
	})
}
