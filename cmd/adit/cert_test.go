package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestCertificatesFromTheCAToAClientsBundleAndBack(t *testing.T) {
	state, dest := t.TempDir(), t.TempDir()
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
		{"server vpn.example.com 192.0.2.1", exitOK, `certificate = "` + state + `/pki/server.pem"`, ""},
		{"client laptop -user alice -o " + dest, exitOK, filepath.Join(dest, "laptop.mobileconfig"), ""},
		{"client laptop -o " + dest, exitRuntime, "", "nothing was issued"},
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
	password, err := os.ReadFile(filepath.Join(dest, "laptop.password"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(filepath.Join(dest, "laptop.p12"))
	if err != nil {
		t.Fatal(err)
	}
	_, cert, _, err := pkcs12.DecodeChain(bundle, strings.TrimSpace(string(password)))
	if err != nil || cert.Subject.CommonName != "laptop" {
		t.Errorf("the bundle does not open with the password that was written: %v", err)
	}
	for _, file := range []string{"laptop.password", "laptop.p12"} {
		if info, err := os.Stat(filepath.Join(dest, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}
