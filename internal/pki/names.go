package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

func ikeUsages() []asn1.ObjectIdentifier {
	return []asn1.ObjectIdentifier{oidIKEIntermediate, oidIPsecIKE}
}

// setNames makes host names and addresses the alternative names of a
// certificate. An address is given as a DNS name too: Windows looks there for what was
// dialled, be it a name or an address.
func setNames(c *x509.Certificate, names []string) error {
	for _, n := range names {
		ip := net.ParseIP(n)
		if ip == nil && len(dnsNames(n)) == 0 {
			return fmt.Errorf("%q is neither a host name nor an address that a client can dial", n)
		}
		if ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		}
		if ip == nil || ip.To4() != nil {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	return nil
}

// dnsNames is name, if it can be a DNS name.
func dnsNames(name string) []string {
	if len(name) == 0 || len(name) > 253 {
		return nil
	}
	for _, label := range strings.Split(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return nil
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
				return nil
			}
		}
	}
	return []string{name}
}

// checkName accepts only names of clients that can be names of files.
func checkName(name string) error {
	if name == "" || len(name) > 64 || name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("%q cannot be the name of a client: 1 to 64 letters, digits, and .-_@", name)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_@", r) {
			return fmt.Errorf("%q cannot be the name of a client: 1 to 64 letters, digits, and .-_@", name)
		}
	}
	return nil
}

// ServerName is the first name of the certificate that Server wrote to dir.
func ServerName(dir string) (string, error) {
	certs, err := LoadCertificates(filepath.Join(dir, ServerFile))
	if err != nil {
		return "", err
	}
	return certs[0].Subject.CommonName, nil
}
