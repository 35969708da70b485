package app

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/pki"
)

// certificates are what ipsec.certificate and its companions name. The zero
// value stands for none.
type certificates struct {
	identity  *ike.Identity
	authority ike.Authority
	leaf      *x509.Certificate     // our own
	files     map[string]pki.Digest // of what the files had that the keys of [ipsec] name
}

// loadCertificates reads the files that a configuration names.
func loadCertificates(c *conf.Config) (certificates, error) {
	p := &c.IPsec
	if p.Certificate == "" {
		return certificates{}, nil
	}
	own, err := pki.LoadIdentity(p.Certificate, p.PrivateKey)
	if err != nil {
		return certificates{}, conf.Errors{{Key: "ipsec.certificate and private_key", Text: err.Error()}}
	}
	authority, err := pki.LoadAuthority(p.CA, p.CRL, p.CRLStrict)
	if err != nil {
		return certificates{}, conf.Errors{{Key: "ipsec.ca and crl", Text: err.Error()}}
	}
	id := &ike.Identity{Subject: own.Chain[0].RawSubject, Key: own.Key}
	for i, cert := range own.Chain {
		if i > 0 && slices.Equal(cert.RawSubject, cert.RawIssuer) {
			break // a root is trusted where it is, or not at all
		}
		id.Chain = append(id.Chain, cert.Raw)
	}
	names := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		names[i] = g.Name
	}
	chain, key := own.Digests()
	cas, lists := authority.Digests()
	files := map[string]pki.Digest{"ipsec.certificate": chain, "ipsec.private_key": key, "ipsec.ca": cas, "ipsec.crl": lists}
	return certificates{id, &clients{authority, names}, own.Chain[0], files}, nil
}

// soon is when an expiry is worth a warning.
const soon = 30 * 24 * time.Hour

// warnings are what an administrator should know of our own certificate, for
// clients that dial public.
func (c certificates) warnings(now time.Time, public string) []string {
	if c.leaf == nil {
		return nil
	}
	var list []string
	switch {
	case now.Before(c.leaf.NotBefore):
		list = append(list, "the server's certificate (ipsec.certificate) is not valid before "+c.leaf.NotBefore.UTC().Format(time.DateTime)+" UTC: clients refuse it; is the clock right?")
	case now.After(c.leaf.NotAfter):
		list = append(list, "the server's certificate (ipsec.certificate) has expired: clients refuse it; issue another and reload")
	case !now.Add(soon).Before(c.leaf.NotAfter):
		list = append(list, "the server's certificate (ipsec.certificate) expires within 30 days: issue another and reload")
	}
	if public != "" && public != c.leaf.Subject.CommonName && c.leaf.VerifyHostname(public) != nil {
		list = append(list, "the server's certificate (ipsec.certificate) does not have the name of server.public: clients that compare it with what they dialled refuse it")
	}
	return list
}

// renewed are the keys whose files have another content than in old.
func (c certificates) renewed(old certificates) []string {
	var keys []string
	for key, sum := range c.files {
		if before, ok := old.files[key]; ok && before != sum {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// clients judges clients' certificates. The organizational unit that is the
// name of a [[group]] binds a certificate to the group's users.
type clients struct {
	*pki.Authority
	groups []string
}

// Verify implements ike.Authority.
func (c *clients) Verify(now time.Time, certs [][]byte) (ike.PeerCert, error) {
	p, err := c.Authority.Verify(now, certs)
	if err != nil {
		return ike.PeerCert{}, err
	}
	cert := ike.PeerCert{
		Name: pki.Name(p.Leaf), Group: c.group(p.Leaf), Subject: p.Leaf.RawSubject,
		DNS: p.Leaf.DNSNames, Emails: p.Leaf.EmailAddresses,
		PublicKey: p.Leaf.PublicKey, Fingerprint: p.Fingerprint,
	}
	for _, ip := range p.Leaf.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			cert.IPs = append(cert.IPs, a.Unmap())
		}
	}
	return cert, nil
}

func (c *clients) group(leaf *x509.Certificate) string {
	for _, unit := range leaf.Subject.OrganizationalUnit {
		if slices.Contains(c.groups, unit) {
			return unit
		}
	}
	return ""
}
