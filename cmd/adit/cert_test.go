package main

import (
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestCertificatesFromTheCAToAClientsBundleAndBack(t *testing.T) {
	state, dest := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dest, "pager.password"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args string
		code int
		out  string
		err  string
	}{
		{"list", exitRuntime, "", "adit cert ca makes one"},
		{"client laptop -o " + dest, exitRuntime, "", "adit cert ca makes one"},
		{"ca -name Office", exitOK, `The CA "Office" is in ` + state, ""},
		{"ca", exitRuntime, "", "is not replaced"},
		{"client laptop -o " + dest, exitRuntime, "", "adit cert server NAME comes first"},
		{"server", exitUsage, "", "names and addresses that clients dial"},
		{"server vpn.example.com 192.0.2.1", exitOK, "for vpn.example.com, 192.0.2.1 is valid until", ""},
		{"server vpn.example.com 192.0.2.1", exitOK, `certificate = "` + state + `/pki/server.pem"`, ""},
		{"client tablet -o " + filepath.Join(dest, "missing"), exitRuntime, "", "missing: no such file or directory: make the directory, or name another by -o; nothing was issued"},
		{"client laptop -user alice -o " + dest, exitOK, filepath.Join(dest, "laptop.mobileconfig"), ""},
		{"client laptop -o " + dest, exitRuntime, "", "nothing was issued"},
		{"revoke tablet", exitRuntime, "", "no certificate was issued"},
		{"client pager -o " + dest, exitRuntime, "", "pager.password is there already: nothing was issued"},
		{"revoke pager", exitRuntime, "", "no certificate was issued"},
		{"client phone -ecdsa -group staff -o " + dest, exitOK, "The server's certificate is RSA and this one ECDSA", ""},
		{"list", exitOK, `"phone"`, ""},
		{"client ../laptop -o " + dest, exitRuntime, "", "cannot be the name of a client"},
		{"list", exitOK, `"laptop"`, ""},
		{"revoke nobody", exitRuntime, "", "adit cert list shows all"},
		{"revoke laptop", exitOK, `Revoked "laptop"`, ""},
		{"revoke laptop", exitOK, "revoked already", ""},
		{"frobnicate", exitUsage, "", "not \"frobnicate\""},
	} {
		args := append([]string{"cert"}, strings.Fields(step.args)...)
		code, out, err := typed("", append(args, "-state", state)...)
		if code != step.code || !strings.Contains(out, step.out) || !strings.Contains(err, step.err) || step.err == "" && err != "" {
			t.Errorf("adit cert %s: exit code %d, %q, %q", step.args, code, out, err)
		}
	}
	cert := decoded(t, filepath.Join(dest, "phone"))
	if got := cert.Subject.OrganizationalUnit; len(got) != 1 || got[0] != "staff" {
		t.Errorf("a certificate of the group staff has the units %q", got)
	}
	if cert = decoded(t, filepath.Join(dest, "laptop")); cert.Subject.CommonName != "laptop" || cert.Subject.OrganizationalUnit != nil {
		t.Errorf("the certificate is of %v", cert.Subject)
	}
	for _, file := range []string{"laptop.password", "laptop.p12"} {
		if info, err := os.Stat(filepath.Join(dest, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

func TestACertificateOfNoGroupIsNotIssued(t *testing.T) {
	state := t.TempDir()
	if made, err := firstConfig(state+"/adit.toml", state, "", "vpn"); err != nil || !made {
		t.Fatal(made, err)
	}
	if code, _, err := typed("", "cert", "client", "laptop", "-group", "staff", "-state", state); code != exitRuntime || !strings.Contains(err, `no [[group]] "staff"`) {
		t.Errorf("exit code %d, %q", code, err)
	}
}

// decoded opens a bundle with the password beside it.
func decoded(t *testing.T, base string) *x509.Certificate {
	t.Helper()
	password, err := os.ReadFile(base + ".password")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(base + ".p12")
	if err != nil {
		t.Fatal(err)
	}
	_, cert, _, err := pkcs12.DecodeChain(bundle, strings.TrimSpace(string(password)))
	if err != nil {
		t.Fatalf("the bundle does not open with the password that was written: %v", err)
	}
	return cert
}

// Whatever the umask is, nobody else on the host can read a key, a bundle or a password,
// or put a certificate among the CA's, and no existing file or link is written to.
func TestNobodyElseReadsWhatCertWrites(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	state, dest := t.TempDir(), t.TempDir()
	run := func(args ...string) (int, string) {
		code, _, err := typed("", append(append([]string{"cert"}, args...), "-state", state)...)
		return code, err
	}
	for _, args := range [][]string{{"ca"}, {"server", "vpn.example.com"}, {"client", "laptop", "-o", dest}, {"revoke", "laptop"}} {
		if code, err := run(args...); code != exitOK {
			t.Fatalf("adit cert %v: %d, %s", args, code, err)
		}
	}
	files := 0
	for _, dir := range []string{filepath.Join(state, "pki"), dest} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			open := fs.FileMode(0o077)
			if ext := filepath.Ext(path); ext == ".pem" {
				open = 0o022 // certificates and lists are not secrets
			}
			if path != dest && info.Mode().Perm()&open != 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			files++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 10 {
		t.Errorf("%d files and directories: the test looked at the wrong ones", files)
	}
	// Somebody has put a link where the bundle is to be.
	target := filepath.Join(t.TempDir(), "target")
	if err := os.Symlink(target, filepath.Join(dest, "tablet.p12")); err != nil {
		t.Fatal(err)
	}
	if code, _ := run("client", "tablet", "-o", dest); code == exitOK {
		t.Error("a bundle was written through a link")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link's target was made")
	}
}
