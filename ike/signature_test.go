package ike

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/adit-vpn/adit/ike/isakmp"
	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

func TestCertificates(t *testing.T) {
	for _, m := range []AuthMethod{AuthRSA, AuthECDSA256, AuthECDSA384, AuthECDSA521} {
		t.Run(m.String(), func(t *testing.T) {
			p := signedPair(t, m)
			p.server.env.Policy.Authority.(*testCA).group = "staff"
			requested, largest := false, 0
			p.tamper = func(d datagram) []datagram {
				if !d.fromClient && d.data[16] == byte(isakmp.PayloadKE) {
					requested = bytes.Contains(d.data, append([]byte{byte(isakmp.CertX509)}, theCA().root.RawSubject...))
				}
				largest = max(largest, len(d.data))
				return []datagram{d}
			}
			p.establish()
			peer := p.server.sa.Peer()
			own := p.client.env.Policy.Identity
			if peer.Auth != m || peer.PSK != "" || peer.Cert != "client" || peer.Group != "staff" || peer.Fingerprint != sha256.Sum256(own.Chain[0]) {
				t.Errorf("the server knows of its peer: %+v", peer)
			}
			if id, err := isakmp.ParseID(peer.ID); err != nil || id.Kind != isakmp.IDDERASN1DN || !bytes.Equal(id.Data, own.Subject) {
				t.Errorf("its identification is %x", peer.ID)
			}
			if !requested {
				t.Error("message 4 does not ask for a certificate of the CA")
			}
			if largest > fragmentSize {
				t.Errorf("a message has %d bytes", largest)
			}
			if p.client.sa.Peer().Cert != "server" {
				t.Errorf("the client knows of its peer: %+v", p.client.sa.Peer())
			}
			p.works()
			if len(p.dropped) > 0 {
				t.Errorf("dropped: %v", p.dropped)
			}
		})
	}
}

// The signed bytes, computed independently from RFC 2409, section 5, and RFC 4754.
func TestWhatIsSigned(t *testing.T) {
	for _, m := range []AuthMethod{AuthRSA, AuthECDSA384} {
		p := signedPair(t, m)
		checked := false
		p.tamper = func(d datagram) []datagram {
			if d.fromClient && d.data[19] == 1 && Exchange(d.data[18]) == ExchangeMain && !checked {
				checked = true
				checkSignature(t, p, m, d.data)
			}
			return []datagram{d}
		}
		// RSA certificates are sent without fragmentation, so that the test can
		// read them.
		p.client.env.Policy.VendorIDs = []VendorID{VendorRFC3947}
		p.establish()
		if !checked {
			t.Fatal("there was no message 5")
		}
	}
}

func checkSignature(t *testing.T, p *pair, m AuthMethod, msg []byte) {
	st := &p.client.sa.st
	h, body, err := isakmp.ParseHeader(msg)
	if err != nil {
		t.Fatal(err)
	}
	plain, _, err := st.Peer.Suite.decrypt(st.Keys.Cipher, st.Peer.Suite.iv1(st.publics()), body)
	if err != nil {
		t.Fatal(err)
	}
	raws, _, err := isakmp.Chain(h.Next, plain)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []isakmp.PayloadType
	var id, sig []byte
	for _, r := range raws {
		kinds = append(kinds, r.Kind)
		switch r.Kind {
		case isakmp.PayloadID:
			id = r.Body
		case isakmp.PayloadSignature:
			sig = r.Body
		}
	}
	if want := []isakmp.PayloadType{isakmp.PayloadID, isakmp.PayloadCert, isakmp.PayloadCert, isakmp.PayloadSignature}; !slices.Equal(kinds, want) {
		t.Errorf("message 5 is %v", kinds)
	}
	skeyid := hmac.New(sha1.New, append(bytes.Clone(st.NonceI), st.NonceR...))
	skeyid.Write(must(st.DH.shared(st.PeerPublic)))
	hash := sha1.New
	if m == AuthECDSA384 {
		hash = sha512.New384
	}
	hashI := hmac.New(hash, skeyid.Sum(nil))
	c := st.Peer.Cookies
	for _, part := range [][]byte{st.DH.Public, st.PeerPublic, c.Initiator[:], c.Responder[:], st.Offer, id} {
		hashI.Write(part)
	}
	want := hashI.Sum(nil)
	switch key := p.client.env.Policy.Identity.Key.Public().(type) {
	case *rsa.PublicKey:
		// The block is 00 01 ff … ff 00 and the bare hash.
		n := key.Size()
		block := new(big.Int).Exp(new(big.Int).SetBytes(sig), big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, n))
		padded := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, n-3-len(want))...)
		if !bytes.Equal(block, append(append(padded, 0), want...)) {
			t.Errorf("the RSA signature holds\n%x, want the padded hash %x", block, want)
		}
	case *ecdsa.PublicKey:
		n := len(sig) / 2
		if len(sig) != 96 || !ecdsa.Verify(key, want, new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])) {
			t.Errorf("the ECDSA signature of %d bytes does not verify", len(sig))
		}
	}
}

// RFC 4754, section 8.1.
func TestECDSAVector(t *testing.T) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(t, `04
		2442A5CC 0ECD015F A3CA31DC 8E2BBC70 BF42D60C BCA20085 E0822CB0 4235E970
		6FC98BD7 E50211A4 A27102FA 3549DF79 EBCB4BF2 46B80945 CDDFE7D5 09BBFD7D`))
	if err != nil {
		t.Fatal(err)
	}
	sig := unhex(t, `CB28E099 9B9C7715 FD0A80D8 E47A7707 9716CBBF 917DD72E 97566EA1 C066957C
		86FA3BB4 E26CAD5B F90B7F81 899256CE 7594BB1E A0C89212 748BFF3B 3D5B0315`)
	hash := sha256.Sum256([]byte("abc"))
	if err := AuthECDSA256.verify(key, hash[:], sig); err != nil {
		t.Error(err)
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if err := AuthECDSA256.verify(key, hash[:], bad); !errors.Is(err, ErrSignature) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, sig[:63], append(bytes.Clone(sig), 0), make([]byte, 64)} {
		if err := AuthECDSA256.verify(key, hash[:], bad); !errors.Is(err, ErrSignature) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if err := AuthRSA.verify(key, hash[:], sig); !errors.Is(err, ErrSignature) {
		t.Errorf("as RSA: %v", err)
	}
	if err := AuthECDSA384.verify(key, hash[:], sig); !errors.Is(err, ErrSignature) {
		t.Errorf("as ECDSA-384: %v", err)
	}
}

// Certificates may come in message 3, in clear. Message 5 then has none.
func TestCertificatesInMessage3(t *testing.T) {
	p := signedPair(t, AuthECDSA256)
	chain := p.client.env.Policy.Identity.Chain
	p.client.env.Policy.Identity.Chain = nil
	p.tamper = func(d datagram) []datagram {
		if d.fromClient && d.data[16] == byte(isakmp.PayloadKE) {
			h, body, err := isakmp.ParseHeader(d.data)
			if err != nil {
				t.Fatal(err)
			}
			raws, _, err := isakmp.Chain(h.Next, body)
			if err != nil {
				t.Fatal(err)
			}
			var payloads []isakmp.Payload
			for _, r := range raws {
				payloads = append(payloads, r)
			}
			for _, der := range chain {
				payloads = append(payloads, isakmp.Cert{Encoding: isakmp.CertX509, Data: der})
			}
			d.data = isakmp.AppendMessage(nil, h, payloads...)
		}
		return []datagram{d}
	}
	p.establish().works()
	if p.server.sa.st.Certs != nil {
		t.Error("the certificates are kept")
	}
}

// Message 4 has as many certificate requests as fit into the number of bytes that
// came.
func TestCertificateRequestsFitWhatCame(t *testing.T) {
	seen := map[string]bool{}
	for padding := range 200 {
		env := answerEnv()
		ca := *theCA()
		env.Policy.Identity, env.Policy.Authority = ca.identity("server", newKey(AuthECDSA256)), &ca
		e, _, err := Answer(env, serverPath, firstMessage([]isakmp.Transform{transform(1, 1, 7, 14, 256, 2, 2, 4, 19, 3, 9)}), epoch)
		if err != nil {
			t.Fatal(err)
		}
		e.In, e.Out = 0, 0
		sa := Respond(env, e, epoch)
		ke := isakmp.KE(must(newDHKey(machinetest.Rand(9), GroupECP256)).Public)
		payloads := []isakmp.Payload{ke, isakmp.Nonce(make([]byte, 16))}
		if padding > 4 {
			payloads = append(payloads, isakmp.VendorID(make([]byte, padding-4)))
		}
		msg := isakmp.AppendMessage(nil, sa.header(ExchangeMain, 0), payloads...)
		if err := sa.HandlePacket(epoch, serverPath, msg); err != nil {
			t.Fatal(err)
		}
		event, _ := sa.NextEvent()
		send := event.(Send)
		if len(send.Data) > len(msg) {
			t.Fatalf("%d bytes are answered with %d", len(msg), len(send.Data))
		}
		raws, _, err := isakmp.Chain(isakmp.PayloadKE, send.Data[isakmp.HeaderLen:])
		if err != nil {
			t.Fatal(err)
		}
		what := "none"
		for _, r := range raws {
			if r.Kind == isakmp.PayloadCertRequest {
				what = "any"
				if len(r.Body) > 1 {
					what = "the CA"
				}
			}
		}
		seen[what] = true
	}
	if len(seen) != 3 {
		t.Errorf("requests were for %v, want none, any and the CA", seen)
	}
}

func TestIdentificationsAndCertificates(t *testing.T) {
	c := theCA().identity("client", newKey(AuthECDSA256))
	cert, err := theCA().Verify(epoch, c.Chain)
	if err != nil {
		t.Fatal(err)
	}
	// The same name, in strings of another type and with other case.
	utf8 := bytes.ReplaceAll(bytes.ReplaceAll(c.Subject, []byte{0x13}, []byte{0x0c}), []byte("client"), []byte("CLIENT"))
	if bytes.Equal(utf8, c.Subject) {
		t.Fatal("the name has no printable strings")
	}
	for _, tt := range []struct {
		kind isakmp.IDType
		data []byte
		want bool
	}{
		{isakmp.IDDERASN1DN, c.Subject, true},
		{isakmp.IDDERASN1DN, utf8, true},
		{isakmp.IDDERASN1DN, theCA().root.RawSubject, false},
		{isakmp.IDDERASN1DN, nil, false},
		{isakmp.IDDERASN1DN, []byte{0x30, 0}, false},
		{isakmp.IDFQDN, []byte("Client.example"), true},
		{isakmp.IDFQDN, []byte("other.example"), false},
		{isakmp.IDFQDN, nil, false},
		{isakmp.IDUserFQDN, []byte("client@example"), true},
		{isakmp.IDUserFQDN, []byte("client.example"), false},
		{isakmp.IDIPv4Addr, []byte{10, 0, 0, 2}, true},
		{isakmp.IDIPv4Addr, []byte{10, 0, 0, 3}, false},
		{isakmp.IDKeyID, []byte("client"), false},
	} {
		if got := cert.speaksOf(isakmp.ID{Kind: tt.kind, Data: tt.data}); got != tt.want {
			t.Errorf("type %d, %q: %v, want %v", tt.kind, tt.data, got, tt.want)
		}
	}
}

// A flipped bit in messages 5 and 6 is noticed, and the genuine messages are still
// accepted.
func TestFlippedBitsInSignedMessages(t *testing.T) {
	identities := signedPair(t, AuthECDSA256)
	for n := 4; n < 6; n++ {
		for bit := 8 * isakmp.HeaderLen; bit < 8*1200; bit += 397 {
			p := signedPair(t, AuthECDSA256)
			p.client.env, p.server.env = identities.client.env, identities.server.env
			count := 0
			p.tamper = func(d datagram) []datagram {
				if count++; count != n+1 || bit/8 >= len(d.data) {
					return []datagram{d}
				}
				bad := d
				bad.data, bad.forged = bytes.Clone(d.data), true
				bad.data[bit/8] ^= 1 << (bit % 8)
				return []datagram{bad, d}
			}
			p.initiate()
			if p.fooled > 0 || !p.client.sa.Established() || !p.server.sa.Established() {
				t.Fatalf("bit %d of message %d: fooled %d times; dropped: %v", bit, n+1, p.fooled, p.dropped)
			}
		}
	}
}

// A certificate that a reload of the configuration removed is no longer used.
func TestMethodThatWasTakenAwayMeanwhile(t *testing.T) {
	p := signedPair(t, AuthECDSA256)
	p.tamper = func(d datagram) []datagram {
		if !d.fromClient && d.data[16] == byte(isakmp.PayloadSA) {
			p.server.env.Policy = testPolicy()
		}
		return []datagram{d}
	}
	p.initiate()
	if len(p.dropped) == 0 || !errors.Is(p.dropped[0], ErrUnexpected) {
		t.Errorf("dropped: %v", p.dropped)
	}
}

// BenchmarkSignedHandshake measures a Main Mode with certificates and a Quick
// Mode, at both ends.
func BenchmarkSignedHandshake(b *testing.B) {
	for _, m := range []AuthMethod{AuthRSA, AuthECDSA256} {
		b.Run(m.String(), func(b *testing.B) {
			identities := signedPair(b, m)
			b.ReportAllocs()
			for b.Loop() {
				p := newPair(b)
				p.client.env, p.server.env = identities.client.env, identities.server.env
				p.establish()
				p.quick(p.client, ChildRequest{})
			}
		})
	}
}
