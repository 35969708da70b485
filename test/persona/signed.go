package persona

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Signing is how a client authenticates with certificates (RFC 2409 section 5.1).
type Signing struct {
	PKCS7        bool // its certificate comes in an envelope (RFC 2408 section 3.9, encoding 1)
	RequestIn3   bool // its certificate request is in message 3, not 5
	RequestFirst bool // in message 5 the request comes before the signature, not after it
	Usage        bool // the server's certificate must be valid for a server, or for IKE
	AnyName      bool // the server's certificate may have any name
	CommonName   bool // for a certificate without alternative names, the name in the subject counts
}

// Encodings of certificates (RFC 2408 section 3.9).
const (
	certPKCS7 = 1
	certX509  = 4
)

// The lengths of the fragments that these clients make.
const (
	fragmentKAME    = 552 - 36 // bytes of a message in one
	fragmentCharon  = 1280 - 20 - 8 - 4 - 36
	fragmentWindows = 548 - 36
)

// sign makes a client that was configured for a pre-shared key use certificates.
func (p *Profile) sign(s Signing, fragment int, atOnce bool) {
	p.Name += ", certificate"
	p.IKE.SA = signatures(p.IKE.SA)
	p.IKE.Signs, p.IKE.Fragment, p.IKE.FragmentAtOnce = &s, fragment, atOnce
}

// signatures sets the method of every transform to 3, RSA signatures.
func signatures(sa []byte) []byte {
	list, err := wire.ParseSA(sa)
	if err != nil {
		panic(err)
	}
	for _, p := range list {
		for i, t := range p.Transforms {
			a := bytes.Clone(t.Attributes)
			for at := 0; at < len(a); {
				kind, n := binary.BigEndian.Uint16(a[at:]), binary.BigEndian.Uint16(a[at+2:])
				if kind == 0x8003 {
					a[at+3] = 3
				}
				at += 4
				if kind&0x8000 == 0 {
					at += int(n)
				}
			}
			p.Transforms[i].Attributes = a
		}
	}
	return wire.SABody(list...)
}

// request asks for a certificate of the CA that the client trusts.
func (c *Client) request() wire.Payload {
	return wire.Payload{Type: wire.PayloadCertReq, Body: append([]byte{certX509}, c.CA.RawSubject...)}
}

// prove makes the payloads of message 5 that state and prove the client's identity.
func (c *Client) prove(p *phase1, gxi, gxr []byte) []wire.Payload {
	id := c.identity()
	hash := p.keys.PRF(p.keys.Root, gxi, gxr, p.ci[:], p.cr[:], c.IKE.SA, id)
	list := []wire.Payload{{Type: wire.PayloadID, Body: id}}
	s := c.IKE.Signs
	if s == nil {
		return append(list, wire.Payload{Type: wire.PayloadHash, Body: hash})
	}
	// The signature does not contain an identifier of the hash (RFC 2409 section 5.1).
	sig, err := rsa.SignPKCS1v15(nil, c.Key, crypto.Hash(0), hash)
	if err != nil {
		panic(err)
	}
	cert := append([]byte{certX509}, c.Certificate.Raw...)
	if s.PKCS7 {
		cert = append([]byte{certPKCS7}, envelope(c.Certificate.Raw)...)
	}
	list = append(list, wire.Payload{Type: wire.PayloadCert, Body: cert}, wire.Payload{Type: wire.PayloadSig, Body: sig})
	if !s.RequestIn3 {
		list = append(list, c.request())
	}
	if s.RequestFirst && !s.RequestIn3 {
		list[2], list[3] = list[3], list[2]
	}
	return list
}

// envelope is a PKCS #7 SignedData with one certificate and no signer.
func envelope(der []byte) []byte {
	type signedData struct {
		Version      int
		Algorithms   []asn1.RawValue `asn1:"set"`
		Content      struct{ Type asn1.ObjectIdentifier }
		Certificates asn1.RawValue
		Signers      []asn1.RawValue `asn1:"set"`
	}
	signed := signedData{Version: 1, Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}}
	signed.Content.Type = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	inner, err := asn1.Marshal(signed)
	if err != nil {
		panic(err)
	}
	b, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// proved judges the server's identity and proof in message 6.
func (c *Client) proved(p *phase1, all map[byte][][]byte, gxi, gxr []byte) (idr []byte) {
	proof := byte(wire.PayloadHash)
	if c.IKE.Signs != nil {
		proof = wire.PayloadSig
	}
	if len(all[wire.PayloadID]) != 1 || len(all[proof]) != 1 {
		c.refuse("message 6 must have one ID payload and one payload %d", proof)
	}
	idr = all[wire.PayloadID][0]
	want := p.keys.PRF(p.keys.Root, gxr, gxi, p.cr[:], p.ci[:], c.IKE.SA, idr)
	if c.IKE.Signs == nil {
		if !bytes.Equal(want, all[proof][0]) {
			c.refuse("HASH_R is wrong: the server does not know the pre-shared key, or hashes otherwise (RFC 2409 section 5)")
		}
		return idr
	}
	leaf := c.trusted(all[wire.PayloadCert])
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || rsa.VerifyPKCS1v15(key, crypto.Hash(0), want, all[proof][0]) != nil {
		c.refuse("SIG_R is not a bare RSA signature of HASH_R by the server's certificate (RFC 2409 section 5.1)")
	}
	if len(idr) < 4 || idr[0] == 9 && !bytes.Equal(idr[4:], leaf.RawSubject) ||
		idr[0] == 2 && !slices.Contains(leaf.DNSNames, string(idr[4:])) || idr[0] == 1 && !hasAddress(leaf, idr[4:]) {
		c.refuse("the server's identification %x is not what its certificate speaks of", idr)
	}
	return idr
}

// trusted judges the server's certificates, of which the first is the server's own. If
// they are not trusted, it ends the connection with the reason that the user is shown.
func (c *Client) trusted(bodies [][]byte) *x509.Certificate {
	if len(bodies) == 0 {
		c.refuse("message 6 has no certificate, and it was asked for one")
	}
	var leaf *x509.Certificate
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c.CA)
	for _, b := range bodies {
		if len(b) == 0 || b[0] != certX509 {
			c.refuse("a certificate must have the encoding X.509, as it was asked for (RFC 2408 section 3.10)")
		}
		cert, err := x509.ParseCertificate(b[1:])
		if err != nil {
			c.refuse("a certificate of the server's: %v", err)
		}
		if leaf == nil {
			leaf = cert
		}
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	switch s := c.IKE.Signs; {
	case err != nil:
		c.over("the server's certificate is not trusted: %v", err)
	case s.Usage && !forServers(leaf):
		c.over("the server's certificate is not meant for a server")
	case !s.AnyName && !c.named(leaf):
		c.over("the server's certificate is not of what was dialled")
	default:
		return leaf
	}
	panic(c.end)
}

// forServers reports whether a certificate is valid for servers or for IKE.
func forServers(c *x509.Certificate) bool {
	ike := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 2, 2}
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.ContainsFunc(c.UnknownExtKeyUsage, ike.Equal)
}

// named reports whether a certificate names what was dialled: a name or an address.
func (c *Client) named(leaf *x509.Certificate) bool {
	if c.Dialled == "" {
		return hasAddress(leaf, c.Server.AsSlice())
	}
	same := func(n string) bool { return strings.EqualFold(n, c.Dialled) }
	if len(leaf.DNSNames) == 0 && c.IKE.Signs.CommonName {
		return same(leaf.Subject.CommonName)
	}
	return slices.ContainsFunc(leaf.DNSNames, same)
}

func hasAddress(c *x509.Certificate, b []byte) bool {
	want, _ := netip.AddrFromSlice(b)
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok && a.Unmap() == want.Unmap() {
			return true
		}
	}
	return false
}
