package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
)

var (
	oidAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}                    // RFC 5280, section 4.2.1.6
	oidUPN             = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3} // Microsoft's user principal name
)

// UserNames are the names that a certificate gives a person, or a device: the common name, user
// principal names, e-mail addresses and DNS names. One with a NUL in it is none: whoever issues
// certificates may have read less of it.
func UserNames(c *x509.Certificate) []string {
	all := append([]string{c.Subject.CommonName}, principals(c)...)
	all = append(append(all, c.EmailAddresses...), c.DNSNames...)
	var names []string
	for _, n := range all {
		if n != "" && !strings.ContainsRune(n, 0) {
			names = append(names, n)
		}
	}
	return names
}

// principals are the user principal names of a certificate.
func principals(c *x509.Certificate) (names []string) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidAlternativeName) {
			continue
		}
		var list []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &list); err != nil || len(rest) > 0 {
			return nil
		}
		for _, v := range list {
			// otherName [0] { type-id, value [0] EXPLICIT }
			if v.Class != asn1.ClassContextSpecific || v.Tag != 0 {
				continue
			}
			var id asn1.ObjectIdentifier
			rest, err := asn1.Unmarshal(v.Bytes, &id)
			if err != nil || !id.Equal(oidUPN) {
				continue
			}
			var name string
			var value asn1.RawValue
			if _, err := asn1.Unmarshal(rest, &value); err != nil {
				continue
			}
			if _, err := asn1.Unmarshal(value.Bytes, &name); err == nil {
				names = append(names, name)
			}
		}
	}
	return names
}
