package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/adit-vpn/adit/internal/secret"
)

// PKCS12 is the file with which Windows, macOS, iOS and Android import the
// certificate, its key and the CA (RFC 7292).
//
// It is encrypted with 3DES, which all of their versions read; macOS 14 and
// Windows Server 2016 read nothing newer. It is worth what the password is, and
// no more: a generated one is long enough.
func (i *Issued) PKCS12(ca *x509.Certificate, password secret.Bytes) ([]byte, error) {
	return pkcs12.LegacyDES.Encode(i.Key, i.Cert, []*x509.Certificate{ca}, string(password.Reveal()))
}

// Profile is what a configuration profile of macOS and iOS says.
type Profile struct {
	Server string // what is dialled
	Name   string // of the VPN service, as it is shown
	User   string // "" to be asked
	PKCS12 []byte // the device asks for its password
	CA     *x509.Certificate
	All    bool // send all traffic through it
}

// MobileConfig is the profile as a property list, not signed. The identifiers
// of its parts follow from what is in it, so that a newer one of the same
// service replaces it.
func (p Profile) MobileConfig() []byte {
	id := "vpn.adit." + identifier(p.Server+"\x00"+p.Name)
	identityUUID, caUUID := uuid(id+".identity", p.PKCS12), uuid(id+".ca", p.CA.Raw)

	identity := dict{
		{"PayloadType", "com.apple.security.pkcs12"}, {"PayloadVersion", 1}, {"PayloadIdentifier", id + ".identity"},
		{"PayloadUUID", identityUUID}, {"PayloadDisplayName", p.Name + " certificate"},
		{"PayloadContent", p.PKCS12},
	}
	ppp := dict{{"AuthenticationMethod", "Password"}, {"CommRemoteAddress", p.Server}}
	if p.User != "" {
		ppp = append(ppp, pair{"AuthName", p.User})
	}
	all := 0
	if p.All {
		all = 1
	}
	vpn := dict{
		{"PayloadType", "com.apple.vpn.managed"}, {"PayloadVersion", 1}, {"PayloadIdentifier", id + ".vpn"},
		{"PayloadUUID", uuid(id+".vpn", nil)}, {"PayloadDisplayName", p.Name},
		{"UserDefinedName", p.Name}, {"VPNType", "L2TP"},
		{"PPP", ppp},
		{"IPSec", dict{{"AuthenticationMethod", "Certificate"}, {"PayloadCertificateUUID", identityUUID}, {"RemoteAddress", p.Server}}},
		{"IPv4", dict{{"OverridePrimary", all}}},
	}
	ca := dict{
		{"PayloadType", "com.apple.security.root"}, {"PayloadVersion", 1}, {"PayloadIdentifier", id + ".ca"},
		{"PayloadUUID", caUUID}, {"PayloadDisplayName", p.CA.Subject.CommonName},
		{"PayloadContent", p.CA.Raw},
	}
	top := dict{
		{"PayloadType", "Configuration"}, {"PayloadVersion", 1}, {"PayloadIdentifier", id},
		{"PayloadUUID", uuid(id, nil)}, {"PayloadDisplayName", p.Name},
		{"PayloadContent", []dict{ca, identity, vpn}},
	}
	var b strings.Builder
	b.WriteString(xml.Header)
	b.WriteString(`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n")
	b.WriteString("<plist version=\"1.0\">\n")
	writePlist(&b, top)
	b.WriteString("</plist>\n")
	return []byte(b.String())
}

// dict is a dictionary of a property list, in order.
type dict []pair

type pair struct {
	key   string
	value any // string, int, []byte, dict or []dict
}

func writePlist(b *strings.Builder, value any) {
	switch v := value.(type) {
	case string:
		b.WriteString("<string>")
		_ = xml.EscapeText(b, []byte(v)) // a Builder does not fail
		b.WriteString("</string>\n")
	case int:
		fmt.Fprintf(b, "<integer>%d</integer>\n", v)
	case []byte:
		fmt.Fprintf(b, "<data>%s</data>\n", base64.StdEncoding.EncodeToString(v))
	case dict:
		b.WriteString("<dict>\n")
		for _, p := range v {
			fmt.Fprintf(b, "<key>%s</key>", p.key)
			writePlist(b, p.value)
		}
		b.WriteString("</dict>\n")
	case []dict:
		b.WriteString("<array>\n")
		for _, d := range v {
			writePlist(b, d)
		}
		b.WriteString("</array>\n")
	}
}

func identifier(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))[:16] }

// uuid is a version 8 UUID of what it identifies (RFC 9562, section 5.8).
func uuid(id string, content []byte) string {
	h := sha256.New()
	h.Write([]byte(id))
	h.Write(content)
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]))
}
