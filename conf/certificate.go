package conf

import (
	"fmt"
	"path/filepath"
)

// resolve makes a path relative to the configuration's directory.
func (d *decoder) resolve(name *string) {
	if *name != "" && d.file != "" && !filepath.IsAbs(*name) {
		*name = filepath.Join(filepath.Dir(d.file), *name)
	}
}

// resolveCertificates makes the paths of certificate files relative to the
// configuration's directory, like those of secret files.
func resolveCertificates(d *decoder, c *Config) {
	p := &c.IPsec
	d.resolve(&p.Certificate)
	d.resolve(&p.PrivateKey)
	for _, list := range [][]string{p.CA, p.CRL} {
		for i := range list {
			d.resolve(&list[i])
		}
	}
}

// validateCertificates checks which keys are set. The content of the files is checked
// where it is used.
func validateCertificates(d *decoder, c *Config) {
	p := &c.IPsec
	if p.Certificate == "" {
		for key, set := range map[string]bool{
			"private_key": p.PrivateKey != "", "ca": len(p.CA) > 0, "crl": len(p.CRL) > 0, "crl_strict": p.CRLStrict,
		} {
			if set {
				d.fail("ipsec."+key, "does nothing without ipsec.certificate, the server's own")
			}
		}
		return
	}
	if p.PrivateKey == "" {
		d.fail("ipsec.private_key", "missing: ipsec.certificate needs its key")
	}
	if len(p.CA) == 0 {
		d.fail("ipsec.ca", "missing: name the CAs that clients' certificates come from, as in [\"ca.pem\"]; adit cert makes one")
	}
	if p.CRLStrict && len(p.CRL) == 0 {
		d.fail("ipsec.crl_strict", "refuses every certificate as long as ipsec.crl names no revocation list")
	}
	for key, list := range map[string][]string{"ca": p.CA, "crl": p.CRL} {
		for i, name := range list {
			if name == "" {
				d.fail(fmt.Sprintf("ipsec.%s[%d]", key, i), "is empty")
			}
		}
	}
}
