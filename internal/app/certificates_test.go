package app

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/internal/pki"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
)

// certified is a configuration with the files of a CA of its own.
func certified(t *testing.T) (*conf.Config, *pki.CA) {
	t.Helper()
	dir := t.TempDir()
	now := time.Now()
	ca, err := pki.CreateCA(dir, "Test CA", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Server([]string{"vpn.example.com"}, pki.ECDSA, now); err != nil {
		t.Fatal(err)
	}
	c := conf.Default()
	c.IPsec.Certificate, c.IPsec.PrivateKey = filepath.Join(dir, pki.ServerFile), filepath.Join(dir, pki.ServerKeyFile)
	c.IPsec.CA, c.IPsec.CRL = []string{filepath.Join(dir, pki.CAFile)}, []string{filepath.Join(dir, pki.CRLFile)}
	return c, ca
}

func TestCertificatesOfTheConfiguration(t *testing.T) {
	c, ca := certified(t)
	certs, err := loadCertificates(c)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(certs.identity.Chain[0])
	if err != nil || !bytes.Equal(certs.identity.Subject, own.RawSubject) || len(certs.identity.Chain) != 1 {
		t.Errorf("our identity: %d certificates, subject %x, %v", len(certs.identity.Chain), certs.identity.Subject, err)
	}
	if names := certs.authority.Names(); len(names) != 1 || !bytes.Equal(names[0], ca.Cert.RawSubject) {
		t.Errorf("authorities: %x", names)
	}
	client, err := ca.Client("laptop", pki.ECDSA, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := certs.authority.Verify(time.Now(), [][]byte{client.Cert.Raw})
	if err != nil || peer.Name != `"laptop"` || peer.Fingerprint != sha256.Sum256(client.Cert.Raw) || !bytes.Equal(peer.Subject, client.Cert.RawSubject) {
		t.Errorf("the client is %+v, %v", peer, err)
	}
	if _, err := ca.Revoke("laptop", time.Now()); err != nil {
		t.Fatal(err)
	}
	if certs, err = loadCertificates(c); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.authority.Verify(time.Now(), [][]byte{client.Cert.Raw}); !errors.Is(err, pki.ErrRevoked) {
		t.Errorf("after its revocation: %v", err)
	}
	if err := os.Chmod(c.IPsec.PrivateKey, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := loadCertificates(c); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that the group can read: %v", err)
	}
}

func TestAnOrganizationalUnitIsAGroup(t *testing.T) {
	leaf := &x509.Certificate{}
	leaf.Subject.OrganizationalUnit = []string{"Sales", "staff"}
	for _, tt := range []struct {
		groups []string
		want   string
	}{{nil, ""}, {[]string{"guests"}, ""}, {[]string{"guests", "staff"}, "staff"}} {
		if got := (&clients{groups: tt.groups}).group(leaf); got != tt.want {
			t.Errorf("with the groups %q it is of %q, want %q", tt.groups, got, tt.want)
		}
	}
}

func TestExpiringCertificateIsAWarning(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		age, left time.Duration
		public    string
		want      string
	}{
		{day, 31 * day, "", ""},
		{day, 29 * day, "", "expires within 30 days"},
		{day, -time.Hour, "", "has expired"},
		{-time.Hour, 90 * day, "", "is not valid before"},
		{day, 90 * day, "vpn.example.com", ""},
		{day, 90 * day, "192.0.2.1", ""},
		{day, 90 * day, "Office", ""},
		{day, 90 * day, "other.example.com", "does not have the name of server.public"},
	} {
		leaf := &x509.Certificate{
			NotBefore: now.Add(-tt.age), NotAfter: now.Add(tt.left), Subject: pkix.Name{CommonName: "Office"},
			DNSNames: []string{"vpn.example.com"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
		}
		got := strings.Join(certificates{leaf: leaf}.warnings(now, tt.public), "; ")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%v before, dialled as %q: %q", tt.left, tt.public, got)
		}
	}
	if w := (certificates{}).warnings(now, "vpn.example.com"); w != nil {
		t.Errorf("without a certificate: %q", w)
	}
}

// Each way in which phase 1 fails has a line of its own that says what to do.
func TestPhaseOneFailuresAreExplained(t *testing.T) {
	who := vpn.Who{Remote: netip.MustParseAddrPort("198.51.100.7:500")}
	for want, e := range map[string]vpn.Event{
		"remove the group name from its settings": vpn.FirstMessageRefused{Who: who, Why: ike.ErrAggressive},
		"set the client to a pre-shared key, or":  vpn.FirstMessageRefused{Who: who, Why: &ike.NoProposal{ByAuth: true, Auth: []ike.AuthMethod{ike.AuthRSA}}},
		"the server has certificates only":        vpn.FirstMessageRefused{Who: who, Why: &ike.NoProposal{ByAuth: true, Auth: []ike.AuthMethod{ike.AuthPSK}}},
		"AES256-SHA256-MODP2048":                  vpn.FirstMessageRefused{Who: who, Why: &ike.NoProposal{Offered: []string{"AES256-SHA256-MODP2048"}}},
		"no first message that can be answered":   vpn.FirstMessageRefused{Who: who, Why: ike.ErrVersion},
		"stuff":                                   vpn.GroupUnknown{Who: who, Group: "stuff"},
		"wrong pre-shared key":                    vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: ike.ErrUndecryptable},
		"is revoked":                              vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: fmt.Errorf("%w: %w", ike.ErrCertificate, pki.ErrRevoked)},
		"does not name what the peer identified":  vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: ike.ErrIdentity},
		"the client's certificate is refused":     vpn.PacketRefused{Who: who, Layer: vpn.LayerIKE, Why: ike.ErrSignature},
	} {
		var out bytes.Buffer
		o := &events{log: newLogger(&out, conf.Log{Level: "info", Format: "text"}), meter: newMeter()}
		o.Observe(e)
		if line := out.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, want) || !strings.Contains(line, " warn  ") {
			t.Errorf("%T is logged as %q, want %q", e, line, want)
		}
	}
}

// Every reload names the keys that wait for a restart, until they have their old values
// again.
func TestReloadKeepsSayingWhatWaits(t *testing.T) {
	valid := func() *conf.Config {
		c := conf.Default()
		c.IPsec.PSK, c.Users = []secret.Bytes{secret.String("a key of good length")}, []conf.User{{Name: "alice", Password: secret.String("p")}}
		return c
	}
	c, next := valid(), valid()
	a := &instance{
		opts: Options{Config: c, Load: func() (*conf.Config, error) { return next, nil }}, log: newLogger(io.Discard, c.Log),
		server: vpn.New(vpn.Config{Policy: &vpn.Policy{}}),
	}
	a.config.Store(c)
	a.certs.Store(&certificates{})
	next.Network.Device = "adit1"
	for range 2 {
		if r, err := a.Reload(); err != nil || !slices.Equal(r.Restart, []string{"network.device"}) {
			t.Errorf("waiting: %v, %v", r.Restart, err)
		}
	}
	next = valid()
	if r, err := a.Reload(); err != nil || len(r.Restart) != 0 {
		t.Errorf("waiting when nothing differs: %v, %v", r.Restart, err)
	}
}

// What a reload gives reason to warn of is said as at a start: in the log, and to who asked;
// once, and nothing that was so before.
func TestReloadWarnsAsAStartDoes(t *testing.T) {
	valid := func() *conf.Config {
		c := conf.Default()
		c.IPsec.PSK, c.Users = []secret.Bytes{secret.String("a key of good length")}, []conf.User{{Name: "alice", Password: secret.String("p")}}
		c.Radius.AllowUnsigned = true // is warned of at the start
		return c
	}
	for key, change := range map[string]func(*conf.Config){
		"ppp.compression":  func(c *conf.Config) { c.PPP.Compression = []conf.Compression{conf.MPPC} },
		"ipsec.aggressive": func(c *conf.Config) { c.IPsec.Aggressive = true },
		"":                 func(c *conf.Config) { c.Network.DNS = nil },
	} {
		var log bytes.Buffer
		next := valid()
		a := &instance{
			opts: Options{Config: valid(), Load: func() (*conf.Config, error) { return next, nil }}, log: newLogger(&log, conf.Default().Log),
			server: vpn.New(vpn.Config{Policy: &vpn.Policy{}}),
		}
		a.config.Store(a.opts.Config)
		a.certs.Store(&certificates{})
		change(next)
		for i, want := range []int{1, 0} {
			if key == "" {
				want = 0
			}
			log.Reset()
			r, err := a.Reload()
			if err != nil || len(r.Warnings) != want || want > 0 && !strings.Contains(r.Warnings[0], key) {
				t.Errorf("%s, reload %d: %v, %v", key, i+1, r.Warnings, err)
			}
			if n := strings.Count(log.String(), `"level":"warning"`); n != want {
				t.Errorf("%s, reload %d: the log has %d warnings, want %d: %s", key, i+1, n, want, log.String())
			}
		}
	}
}

// A disconnect that ended nothing is not logged as if it had.
func TestDisconnectOfNobodyIsLoggedAsThat(t *testing.T) {
	var log bytes.Buffer
	a := &instance{log: newLogger(&log, conf.Default().Log), server: vpn.New(vpn.Config{Policy: &vpn.Policy{}})}
	a.config.Store(conf.Default())
	for _, sel := range []admin.Selector{{User: "alice"}, {Address: "10.83.0.9"}, {Connection: 7}, {All: true}} {
		log.Reset()
		if n := a.Disconnect(sel); n != 0 || strings.Contains(log.String(), "disconnected by") || !strings.Contains(log.String(), "who is not connected") {
			t.Errorf("%+v: %d, %s", sel, n, log.String())
		}
	}
}

// A reload takes over what the files hold now, though no key has changed; what
// is wrong with them changes nothing.
func TestReloadReadsCertificatesAgain(t *testing.T) {
	c, ca := certified(t)
	first, err := loadCertificates(c)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a := &instance{
		opts: Options{Config: c, Load: func() (*conf.Config, error) { return c, nil }}, log: newLogger(&log, c.Log),
		server: vpn.New(vpn.Config{Policy: &vpn.Policy{}}),
	}
	a.config.Store(c)
	a.certs.Store(&first)
	if _, err := ca.Server([]string{"vpn.example.com"}, pki.ECDSA, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Client("lost", pki.ECDSA, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Revoke("lost", time.Now()); err != nil {
		t.Fatal(err)
	}
	good := c.IPsec.CA
	c.IPsec.CA = []string{"/nonexistent/ca.pem"}
	if _, err := a.Reload(); err == nil || !strings.Contains(err.Error(), "/nonexistent/ca.pem") {
		t.Errorf("without the CA's file: %v", err)
	}
	if !strings.Contains(log.String(), "the old one stays in force") {
		t.Errorf("the log does not say that the reload failed: %q", log.String())
	}
	if a.certs.Load() != &first {
		t.Error("a reload that failed changed the certificate")
	}
	c.IPsec.CA = good
	r, err := a.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.New, ", "); got != "ipsec.certificate (the file), ipsec.private_key (the file)" || len(r.Live) != 1 || r.Live[0] != "ipsec.crl (the file)" {
		t.Errorf("what is told of files with new contents: %q, %q", got, r.Live)
	}
	for _, file := range []string{c.IPsec.Certificate, c.IPsec.PrivateKey, c.IPsec.CA[0], c.IPsec.CRL[0]} {
		appendTo(t, file, "\n# nothing that is loaded\n")
	}
	if r, err = a.Reload(); err != nil || len(r.New)+len(r.Live) != 0 {
		t.Errorf("a reload of the same files says that they changed: %q, %v", r.New, err)
	}
	if now := a.certs.Load(); bytes.Equal(now.identity.Chain[0], first.identity.Chain[0]) {
		t.Error("the new certificate was not taken over")
	}
	if p := a.policy(t.Context(), c); p.IKE.Identity != a.certs.Load().identity || p.IKE.Authority == nil {
		t.Error("the policy has another certificate")
	}
}
