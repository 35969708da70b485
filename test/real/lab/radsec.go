//go:build real

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// radsecBeside and radsecWithin make the lab's FreeRADIUS listen for RADIUS over TLS.
const (
	radsecBeside = `
thread pool {
	start_servers = 2
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 2
}
clients radsec {
	client tls {
		ipaddr = 127.0.0.1
		proto = tls
		secret = radsec
	}
}
`
	radsecWithin = `
	listen {
		type = auth+acct
		ipaddr = 127.0.0.1
		port = 2083
		proto = tcp
		clients = radsec
		tls {
			private_key_file = %[1]s/server.key
			certificate_file = %[1]s/server.pem
			ca_file = %[1]s/ca.pem
			require_client_cert = yes
			tls_min_version = "1.2"
			tls_max_version = "1.3"
		}
	}
`
)

// StartRadSec starts FreeRADIUS with a listener for RADIUS over TLS, and returns the
// configuration of a server that asks it there alone.
func (l *Lab) StartRadSec(t testing.TB) (*Radius, Config) {
	t.Helper()
	dir, err := l.newDir("radius")
	if err != nil {
		t.Fatal(err)
	}
	issue := issuer(t, filepath.Join(dir, "ca.pem"))
	issue(filepath.Join(dir, "server"), "radius.example")
	issue(filepath.Join(dir, "client"), "adit.example")
	// With -X there are no threads, and without threads no TLS.
	r := l.startRadius(t, dir, RadiusSetup{
		Beside: radsecBeside, Within: fmt.Sprintf(radsecWithin, l.inTools(dir)), Args: []string{"-fxx", "-l", "stdout"},
	})
	return r, radsecConfig(dir)
}

// issuer makes a CA, whose certificate it writes, and returns what issues certificates of it.
func issuer(t testing.TB, file string) func(path, name string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, kind string, der []byte) {
		check(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	ca := template("CA of the lab")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	check(err)
	write(file, "CERTIFICATE", der)
	return func(path, name string) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(err)
		cert := template(name)
		cert.DNSNames = []string{name}
		der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
		check(err)
		write(path+".pem", "CERTIFICATE", der)
		der, err = x509.MarshalPKCS8PrivateKey(key)
		check(err)
		write(path+".key", "PRIVATE KEY", der)
	}
}

// radsecproxyConf takes RADIUS over TLS, and passes it to the lab's FreeRADIUS by UDP.
const radsecproxyConf = `
ListenTLS 127.0.0.1:2083
LogLevel 2
LogDestination file://%[1]s/proxy.log
tls default {
	CACertificateFile %[1]s/ca.pem
	CertificateFile %[1]s/server.pem
	CertificateKeyFile %[1]s/server.key
}
client adit {
	host 127.0.0.1
	type tls
	secret radsec
	certificateNameCheck off
}
server logins {
	host 127.0.0.1
	type udp
	port 1812
	secret "%[2]s"
}
server records {
	host 127.0.0.1
	type udp
	port 1813
	secret "%[2]s"
}
realm * {
	server logins
	accountingServer records
}
`

// StartRadsecproxy starts Debian's radsecproxy in front of the lab's FreeRADIUS, and returns the
// configuration of a server that asks it over TLS alone.
func (l *Lab) StartRadsecproxy(t testing.TB) (*Radius, Config) {
	t.Helper()
	r := l.StartRadius(t, true)
	dir := t.TempDir()
	issue := issuer(t, filepath.Join(dir, "ca.pem"))
	issue(filepath.Join(dir, "server"), "radius.example")
	issue(filepath.Join(dir, "client"), "adit.example")
	file := filepath.Join(dir, "radsecproxy.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, radsecproxyConf, dir, RadiusSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, Command(l.Server, "radsecproxy", "-f", "-c", file), filepath.Join(dir, "log"))
	listens := func() bool { return Command(l.Server, "sh", "-c", "ss -Hltn sport = :2083 | grep -q .").Run() == nil }
	if !Wait(15*time.Second, func() bool { return p.Ended() || listens() }) || p.Ended() {
		log, _ := os.ReadFile(filepath.Join(dir, "proxy.log")) // perhaps it had none yet
		t.Fatalf("radsecproxy did not start:\n%s\n%s", p.Output(), log)
	}
	return r, radsecConfig(dir)
}

// radsecConfig asks RADIUS over TLS with the certificates of a directory.
func radsecConfig(dir string) Config {
	c := RadiusConfig()
	c["radius"] = fmt.Sprintf(`servers = [{ address = "127.0.0.1:2083", accounting = "127.0.0.1:2083", tls_ca = "%[1]s/ca.pem", tls_certificate = "%[1]s/client.pem", tls_private_key = "%[1]s/client.key", tls_name = "radius.example" }]`, dir)
	return c
}
