package pki

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/adit-vpn/adit/internal/secret"
)

// openssl judges what we issued; it is another's reading of the RFCs.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOpenSSLAcceptsWhatTheCAMakes(t *testing.T) {
	ca, dir := newCA(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	if _, err := ca.Server([]string{"vpn.example.com", "192.0.2.1", "2001:db8::1"}, RSA, now); err != nil {
		t.Fatal(err)
	}
	lost, err := ca.Client("lost", RSA, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Revoke("lost", now); err != nil {
		t.Fatal(err)
	}
	openssl(t, "verify", "-x509_strict", "-attime", "1903867200", "-CAfile", at(CAFile), "-purpose", "sslserver",
		"-verify_hostname", "vpn.example.com", at(ServerFile))
	openssl(t, "verify", "-x509_strict", "-attime", "1903867200", "-CAfile", at(CAFile), "-verify_ip", "2001:db8::1", at(ServerFile))
	text := openssl(t, "x509", "-in", at(ServerFile), "-noout", "-text")
	for _, want := range []string{"TLS Web Server Authentication", "1.3.6.1.5.5.8.2.2", "1.3.6.1.5.5.7.3.17", "DNS:vpn.example.com", "DNS:192.0.2.1", "IP Address:192.0.2.1"} {
		if !strings.Contains(text, want) && !strings.Contains(text, alias[want]) {
			t.Errorf("the server's certificate has no %s:\n%s", want, text)
		}
	}
	leaf := at("lost.pem")
	if err := writeCertificates(leaf, lost.Cert); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("openssl", "verify", "-attime", "1903867200", "-crl_check", "-CAfile", at(CAFile), "-CRLfile", at(CRLFile), leaf).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "certificate revoked") {
		t.Errorf("openssl does not see the revocation: %s", out)
	}
}

// alias is how newer versions of OpenSSL call what older ones have no name for.
var alias = map[string]string{"1.3.6.1.5.5.7.3.17": "ipsec Internet Key Exchange", "1.3.6.1.5.5.8.2.2": "ipsecIKEIntermediate"}

func TestABundleOpensWithItsPassword(t *testing.T) {
	ca, dir := newCA(t)
	i, err := ca.Client("laptop", RSA, now)
	if err != nil {
		t.Fatal(err)
	}
	p12, err := i.PKCS12(ca.Cert, secret.String("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	key, cert, cas, err := pkcs12.DecodeChain(p12, "open sesame")
	if err != nil || !cert.Equal(i.Cert) || len(cas) != 1 || !samePublic(i.Key.Public(), cert.PublicKey) || key == nil {
		t.Fatal(cert, cas, err)
	}
	file := filepath.Join(dir, "laptop.p12")
	if err := WriteNew(file, p12); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(file, p12); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was overwritten: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	out := openssl(t, "pkcs12", "-in", file, "-passin", "pass:open sesame", "-nokeys")
	if !strings.Contains(out, "laptop") || !strings.Contains(out, "a CA") {
		t.Errorf("openssl finds no client or no CA in the bundle:\n%s", out)
	}
}

func TestAProfileHoldsTheBundleAndDialsTheServer(t *testing.T) {
	ca, _ := newCA(t)
	p := Profile{Server: "vpn.example.com", Name: `Müller & "Söhne"`, User: "alice", PKCS12: []byte("bundle"), CA: ca.Cert, All: true}
	text := string(p.MobileConfig())
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, text)
		}
	}
	for _, want := range []string{
		"<key>VPNType</key><string>L2TP</string>",
		"<key>CommRemoteAddress</key><string>vpn.example.com</string>",
		"<key>AuthName</key><string>alice</string>",
		"<key>AuthenticationMethod</key><string>Certificate</string>",
		"<key>OverridePrimary</key><integer>1</integer>",
		"<data>" + base64.StdEncoding.EncodeToString([]byte("bundle")) + "</data>",
		"<data>" + base64.StdEncoding.EncodeToString(ca.Cert.Raw) + "</data>",
		"Müller &amp; &#34;Söhne&#34;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the profile has no %s:\n%s", want, text)
		}
	}
	uuid := between(text, "<key>PayloadCertificateUUID</key><string>", "</string>")
	if strings.Count(text, uuid) != 2 {
		t.Errorf("the VPN's certificate %q is not the one that the profile holds", uuid)
	}
	if string(p.MobileConfig()) != text {
		t.Error("the same profile has other identifiers the second time: it would not replace the first")
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

func TestACAIsNeverReplaced(t *testing.T) {
	ca, dir := newCA(t)
	if _, err := CreateCA(dir, "another", now); err == nil {
		t.Fatal("the CA was replaced")
	}
	again, err := OpenCA(dir)
	if err != nil || !again.Cert.Equal(ca.Cert) {
		t.Fatal(again, err)
	}
	if _, err := OpenCA(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no CA: %v", err)
	}
}

func TestNamesThatCannotBeAreRefused(t *testing.T) {
	ca, _ := newCA(t)
	for _, name := range []string{"", "../x", "a/b", "-x", ".x", "a b", strings.Repeat("a", 65)} {
		if _, err := ca.Client(name, ECDSA, now); err == nil {
			t.Errorf("a certificate was issued to %q", name)
		}
	}
	for _, name := range []string{"", "two words", "a..b", "-a", strings.Repeat("a", 64)} {
		if _, err := ca.Server([]string{name}, ECDSA, now); err == nil {
			t.Errorf("a certificate was issued to the server %q", name)
		}
	}
	if i, err := ca.Client("alice@example.com", ECDSA, now); err != nil || i.Cert.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("%v, %v", i, err)
	}
}
