//go:build real

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// authority is a CA that adit cert made, with a server's certificate.
type authority struct {
	t   *testing.T
	dir string // state directory
}

func newAuthority(t *testing.T, options ...string) *authority {
	t.Helper()
	a := &authority{t, t.TempDir()}
	a.run("ca")
	a.run(append([]string{"server", "vpn.example.com", lab.ServerIP}, options...)...)
	return a
}

// run runs adit cert.
func (a *authority) run(args ...string) {
	a.t.Helper()
	out, err := exec.Command(here.Adit, append(append([]string{"cert"}, args...), "-state", a.dir)...).CombinedOutput()
	if err != nil {
		a.t.Fatalf("adit cert %v: %v\n%s", args, err, out)
	}
}

// client issues a certificate and returns its bundle and the bundle's password.
func (a *authority) client(name string, options ...string) (file, password string) {
	a.t.Helper()
	a.run(append([]string{"client", name, "-o", a.dir}, options...)...)
	b, err := os.ReadFile(filepath.Join(a.dir, name+".password"))
	if err != nil {
		a.t.Fatal(err)
	}
	return filepath.Join(a.dir, name+".p12"), strings.TrimSpace(string(b))
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, "pki", name) }

// config is the server's table [ipsec] beside the lab's pre-shared key.
func (a *authority) config() string {
	return fmt.Sprintf("certificate = %q\nprivate_key = %q\nca = [%q]\ncrl = [%q]",
		a.file("server.pem"), a.file("server.key"), a.file("ca.pem"), a.file("crl.pem"))
}

// conns writes connections to a file for --conf.
func conns(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "more.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// strongSwan imports what adit cert wrote and proves itself by it, expects the
// server's certificate to say what was dialled, and forces IKE fragmentation
// both ways. One whose certificate is revoked, or another's, is refused.
func TestStrongSwanWithCertificates(t *testing.T) {
	for name, options := range map[string][]string{"RSA": nil, "ECDSA": {"-ecdsa"}} {
		t.Run(name, func(t *testing.T) {
			own, other := newAuthority(t, options...), newAuthority(t, options...)
			good, password := own.client("laptop", options...)
			lost, lostPassword := own.client("lost", options...)
			foreign, foreignPassword := other.client("foreign", options...)
			own.run("revoke", "lost")
			file := conns(t, `
conn good
	also=vpn
	leftauth=pubkey
	rightauth=pubkey
	leftid="CN=laptop"
	rightid="CN=vpn.example.com"
	fragmentation=force
conn name
	also=good
	rightid=@other.example.com
conn lost
	also=good
	leftid="CN=lost"
conn foreign
	also=good
	leftid="CN=foreign"
`)
			s := here.Serve(t, lab.Config{"ipsec": own.config()})
			g := here.Connect(t, lab.Client{NAT: true, Args: []string{"--conf", file,
				"--share", good, "--share", lost, "--share", foreign, "--share", own.file("ca.pem")}})
			for _, p := range []struct{ name, password string }{{"laptop", password}, {"lost", lostPassword}, {"foreign", foreignPassword}} {
				g.Exec(t, fmt.Sprintf(`cp /mnt/%[1]s.p12 /etc/ipsec.d/private/ && echo ': P12 %[1]s.p12 "%[2]s"' >>/etc/ipsec.secrets`, p.name, p.password))
			}
			g.Exec(t, "cp /mnt/ca.pem /etc/ipsec.d/cacerts/ && ipsec rereadall && ipsec update && sleep 1")
			if code := g.Redial(t, "good"); code != lab.Connected {
				t.Fatalf("with its certificate the client ended with %d:\n%s", code, g.Log(t, "ike.log"))
			}
			s.Session(t)
			// With RSA both ends' messages are longer than a fragment.
			if log := g.Log(t, "ike.log"); name == "RSA" && (!contains(log, "splitting IKE message") || !contains(log, "received fragment")) {
				t.Errorf("no fragments went both ways:\n%s", log)
			}
			up := s.Lines("IKE up")
			if who := fmt.Sprint(up[len(up)-1]); !contains(who, "laptop") {
				t.Errorf("the log does not say whose certificate it was: %s", who)
			}
			for _, bad := range []struct{ conn, reason string }{{"lost", "revoked"}, {"foreign", "no CA that is trusted"}} {
				if code := g.Redial(t, bad.conn); code != lab.NoIKE {
					t.Errorf("%s ended with %d, want %d", bad.conn, code, lab.NoIKE)
				}
				if !contains(string(s.Log()), bad.reason) {
					t.Errorf("the log does not say that the certificate of %s is refused: %s", bad.conn, bad.reason)
				}
			}
			if code := g.Redial(t, "name"); code != lab.NoIKE {
				t.Errorf("a client that dialled another name ended with %d, want %d", code, lab.NoIKE)
			}
			if code := g.Redial(t, "vpn"); code != lab.Connected {
				t.Errorf("with the pre-shared key, as before, the client ended with %d", code)
			}
			s.Stop(t)
		})
	}
}

// So does libreswan, from a store of NSS.
func TestLibreswanWithCertificates(t *testing.T) {
	own := newAuthority(t)
	good, password := own.client("laptop")
	file := conns(t, `
conn good
	ikev2=never
	authby=rsasig
	type=transport
	pfs=no
	left=192.168.77.101
	leftprotoport=17/1701
	leftcert=laptop
	leftid=%fromcert
	right=10.99.0.1
	rightprotoport=17/1701
	rightid="CN=vpn.example.com"
	rightca=%any
	ike=aes256-sha1;modp2048
	esp=aes256-sha1
	fragmentation=force
	keyingtries=1
	auto=ignore
`)
	s := here.Serve(t, lab.Config{"ipsec": own.config()})
	g := here.Connect(t, lab.Client{Kind: "libreswan", NAT: true, Args: []string{"--conf", file, "--share", good}})
	g.Exec(t, fmt.Sprintf(`N=sql:/var/lib/ipsec/nss
pk12util -i /mnt/laptop.p12 -d $N -W '%s' -K '' && certutil -L -d $N`, password))
	t.Logf("%s", g.Exec(t, `N=sql:/var/lib/ipsec/nss
certutil -L -d $N | sed -nE 's/^(.*[^ ]) +[a-zA-Z]*,[a-zA-Z]*,[a-zA-Z]* *$/\1/p' | while read -r n; do
	case $n in *CA*) certutil -M -n "$n" -t CT,, -d $N ;; *) certutil --rename -n "$n" --new-n laptop -d $N || true ;; esac
done
certutil -L -d $N; ipsec whack --rereadall; ipsec auto --add good`))
	// libreswan has one policy for UDP 1701 to the server at a time.
	if out, err := g.Run(lab.Steps + "hang_up; ipsec auto --delete vpn; dial good"); err != nil {
		t.Fatalf("with its certificate the client ended with %v: %s\n%s", err, out, g.Log(t, "ike.log"))
	}
	if log := g.Log(t, "ike.log"); !contains(log, "auth=RSA_SIG") {
		t.Errorf("no signature was verified: %s", log)
	}
	s.Session(t)
	s.Stop(t)
}
