package conf

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCertificatesStandForAPreSharedKey(t *testing.T) {
	c, err := load(t, `
[ipsec]
certificate = "pki/server.pem"
private_key = "/etc/adit/server.key"
ca = ["ca.pem"]
crl = ["crl.pem"]
[[user]]
name = "alice"
password = "p"
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.File)
	if c.IPsec.Certificate != filepath.Join(dir, "pki/server.pem") || c.IPsec.PrivateKey != "/etc/adit/server.key" ||
		c.IPsec.CA[0] != filepath.Join(dir, "ca.pem") || c.IPsec.CRL[0] != filepath.Join(dir, "crl.pem") {
		t.Errorf("files are not relative to the configuration: %+v", c.IPsec)
	}
}

func TestWhatIsMissingBesideACertificateIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"certificate = \"a\"\n":                                                       "ipsec.private_key: missing",
		"certificate = \"a\"\nprivate_key = \"b\"":                                    "ipsec.ca: missing",
		"psk = \"" + goodPSK + "\"\nca = [\"c\"]\n":                                   "ipsec.ca: does nothing without ipsec.certificate",
		"psk = \"" + goodPSK + "\"\ncrl_strict = true\n":                              "ipsec.crl_strict: does nothing without ipsec.certificate",
		"certificate = \"a\"\nprivate_key = \"b\"\nca = [\"c\"]\ncrl_strict = true\n": "ipsec.crl_strict: refuses every certificate",
		"certificate = \"a\"\nprivate_key = \"b\"\nca = [\"\"]":                       "ipsec.ca[0]: is empty",
		"certificate = \"a\"\nprivate_key = \"b\"\nca = [\"c\"]\naggressive = true\n": "ipsec.aggressive: needs a pre-shared key",
	} {
		if _, err := load(t, "[ipsec]\n"+text, "ADIT_USERS=a:b"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
