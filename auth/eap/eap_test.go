package eap

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// peer answers the data of Requests of one method, as a client would.
type peer func(data []byte) []byte

// talk has an exchange with a peer that knows some methods, and returns the verdict and how
// many Requests there were.
func talk(t *testing.T, b auth.Backend, user string, mtu int, knows map[Type]peer) (auth.Response, int) {
	t.Helper()
	packet := append([]byte{2, 9, 0, byte(5 + len(user)), 1}, user...)
	answer := auth.Response{Next: b}
	for n := range 500 {
		var err error
		answer, err = answer.Next.Authenticate(t.Context(), &auth.Request{Method: auth.EAP, User: user, EAP: packet, MTU: mtu})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Verdict != auth.Asked {
			return answer, n
		}
		ask := answer.EAP
		if len(ask) < 5 || ask[0] != 1 || int(binary.BigEndian.Uint16(ask[2:])) != len(ask) || ask[1] == packet[1] {
			t.Fatalf("Request %d is %x", n, ask)
		}
		if mtu > 0 && len(ask) > mtu {
			t.Fatalf("Request %d has %d bytes on a link of %d", n, len(ask), mtu)
		}
		kind, data := Type(ask[4]), []byte(nil)
		if p := knows[kind]; p != nil {
			data = p(ask[5:])
		} else {
			kind = typeNak
			for k := range knows {
				data = append(data, byte(k))
			}
		}
		packet = append([]byte{2, ask[1], 0, 0, byte(kind)}, data...)
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	}
	t.Fatal("there is no end")
	return auth.Response{}, 0
}

// mschapPeer is a client's EAP-MSCHAPv2. heard is what the server said last.
func mschapPeer(t *testing.T, name, password string, heard *string) peer {
	var proof string
	return func(data []byte) []byte {
		if n := binary.BigEndian.Uint16(data[2:]); int(n) != len(data) {
			t.Errorf("MS-Length is %d of %d", n, len(data))
		}
		*heard = string(data[4:])
		switch data[0] {
		case 1:
			challenge, random := data[5:5+data[4]], []byte("0123456789abcdef")
			bare := []byte(name[strings.LastIndexByte(name, '\\')+1:])
			nt, err := rfc2759.GenerateNTResponse(challenge, random, bare, []byte(password))
			if err != nil {
				t.Fatal(err)
			}
			if proof, err = rfc2759.GenerateAuthenticatorResponse(challenge, random, nt, bare, []byte(password)); err != nil {
				t.Fatal(err)
			}
			b := append([]byte{2, data[1], 0, 0, 49}, random...)
			b = append(append(append(b, make([]byte, 8)...), nt...), 0)
			b = append(b, name...)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			return b
		case 3:
			if !strings.HasPrefix(string(data[4:]), proof+" M=") {
				return []byte{4}
			}
			return []byte{3}
		}
		return []byte{4}
	}
}

func has(list ...Type) func() []Type { return func() []Type { return list } }

func users() *auth.Local {
	return auth.NewLocal([]auth.User{{Name: "alice", Password: secret.String("clientPass"), Group: "staff"}})
}

func TestMSCHAPv2(t *testing.T) {
	for _, tt := range []struct {
		identity, name, password string
		want                     auth.Verdict
		heard                    string
	}{
		{"alice", "alice", "clientPass", auth.Accepted, "S="},
		{`CORP\alice`, `CORP\alice`, "clientPass", auth.Accepted, "S="},
		{`CORP\alice`, "alice", "clientPass", auth.Accepted, "S="},
		{"Alice", "alice", "clientPass", auth.Accepted, "S="},
		{"alice", "alice", "wrong", auth.BadCredentials, "E=691 R=0 C="},
		{"bob", "bob", "clientPass", auth.BadCredentials, "E=691 R=0 C="},
		{"bob", "alice", "clientPass", auth.BadCredentials, "adit"}, // it is not even tried
		// Names that do not count as the same where guessing is slowed down are not the same here.
		{"bo\u017f\u017f", "boss", "clientPass", auth.BadCredentials, "adit"},
		{"\u03b1\u03c2", "\u03b1\u03c3", "clientPass", auth.BadCredentials, "adit"},
	} {
		var heard string
		b := New(Config{Name: "adit", Methods: has(MSCHAPv2), Users: users()})
		answer, _ := talk(t, b, tt.identity, 1400, map[Type]peer{MSCHAPv2: mschapPeer(t, tt.name, tt.password, &heard)})
		if answer.Verdict != tt.want || !strings.Contains(heard, tt.heard) {
			t.Errorf("%+v: %v (%s), after %q", tt, answer.Verdict, answer.Detail, heard)
		}
		if tt.want == auth.Accepted && (answer.Grant.User != "alice" || answer.Grant.Group != "staff") {
			t.Errorf("%+v: granted %+v", tt, answer.Grant)
		}
	}
}

// A client that finds the server's proof wrong does not come in.
func TestAClientThatRefusesTheServer(t *testing.T) {
	var heard string
	honest := mschapPeer(t, "alice", "clientPass", &heard)
	doubts := func(data []byte) []byte {
		if data[0] == 3 {
			return []byte{4}
		}
		return honest(data)
	}
	answer, _ := talk(t, New(Config{Methods: has(MSCHAPv2), Users: users()}), "alice", 1400, map[Type]peer{MSCHAPv2: doubts})
	if answer.Verdict != auth.BadCredentials || !strings.Contains(answer.Detail, "proof") {
		t.Errorf("it is %v: %s", answer.Verdict, answer.Detail)
	}
}

// A client gets the method that it asks for, if the server has it, and the administrator reads
// which it wanted if not.
func TestNak(t *testing.T) {
	var heard string
	p := pki(t)
	c := p.server("alice")
	c.Methods = has(TLS, MSCHAPv2)
	answer, _ := talk(t, New(c), "alice", 1400, map[Type]peer{MSCHAPv2: mschapPeer(t, "alice", "clientPass", &heard)})
	if answer.Verdict != auth.Accepted {
		t.Errorf("a client that wants EAP-MSCHAPv2: %v (%s)", answer.Verdict, answer.Detail)
	}
	answer, n := talk(t, New(c), "alice", 1400, map[Type]peer{25: nil, 4: nil})
	if answer.Verdict != auth.MethodImpossible || !strings.Contains(answer.Detail, "PEAP") || n != 1 {
		t.Errorf("a client that wants PEAP: %v (%s) after %d Requests", answer.Verdict, answer.Detail, n)
	}
}

// Whatever comes in place of an answer, and whenever, is refused.
func TestMalformedResponses(t *testing.T) {
	p := pki(t)
	for _, method := range []Type{MSCHAPv2, TLS} {
		for _, junk := range [][]byte{nil, {0}, {2}, {0xff}, {2, 0, 0, 9, 49}, {0x80}, {0x80, 0xff, 0xff, 0xff, 0xff}, {0x40}, {0x20}, {0, 22, 3, 1}, bytes.Repeat([]byte{0}, 1000)} {
			for turn := range 3 {
				c := p.server("alice")
				c.Methods = has(method)
				var heard string
				honest := map[Type]peer{MSCHAPv2: mschapPeer(t, "alice", "wrong", &heard), TLS: p.client(t, p.cert(t, "alice"), nil)}[method]
				n := 0
				answer, _ := talk(t, New(c), "alice", 0, map[Type]peer{method: func(data []byte) []byte {
					if n++; n > turn {
						return junk
					}
					return honest(data)
				}})
				if answer.Verdict == auth.Accepted {
					t.Errorf("%v: %x as answer %d is accepted", method, junk, turn)
				}
			}
		}
	}
}

// authority is a CA of the tests.
type authority struct {
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	ours tls.Certificate
}

func pki(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &authority{key: key, ca: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}, pool: x509.NewCertPool()}
	der, err := x509.CreateCertificate(rand.Reader, p.ca, p.ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if p.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p.pool.AddCert(p.ca)
	p.ours = p.cert(t, "vpn.example.com")
	return p
}

// cert is a certificate, whose size makes fragments necessary.
func (p *authority) cert(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{strings.Repeat("u", 2000)}},
		DNSNames: []string{name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}, p.ca, &key.PublicKey, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server accepts one user's certificate.
func (p *authority) server(user string) Config {
	return Config{
		Name: "adit", Methods: has(TLS), Users: users(),
		TLS: func() *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{p.ours}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.pool, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12}
		},
		Certified: func(_ context.Context, r *auth.Request, c *x509.Certificate) (auth.Response, error) {
			if c.Subject.CommonName != user || r.User != user {
				return auth.Response{Verdict: auth.BadCredentials, Detail: c.Subject.CommonName}, nil
			}
			return auth.Response{Verdict: auth.Accepted, Grant: auth.Grant{User: user}}, nil
		},
	}
}

// client is a client's EAP-TLS: crypto/tls over a pipe, which is read until it is silent.
func (p *authority) client(t *testing.T, with tls.Certificate, change func(*tls.Config)) peer {
	c := &tls.Config{Certificates: []tls.Certificate{with}, RootCAs: p.pool, ServerName: "vpn.example.com"}
	if change != nil {
		change(c)
	}
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	conn := tls.Client(far, c)
	go func() {
		if conn.Handshake() == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	written := func() []byte {
		var all []byte
		for b := make([]byte, 1<<16); ; {
			_ = near.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			n, err := near.Read(b)
			if all = append(all, b[:n]...); err != nil {
				return all
			}
		}
	}
	var in, out []byte
	next := func() []byte {
		n := min(len(out), 700)
		b := append([]byte{0}, out[:n]...)
		if out = out[n:]; len(out) > 0 {
			b[0] |= 0x40
		}
		return b
	}
	return func(data []byte) []byte {
		switch flags := data[0]; {
		case flags&0x20 != 0:
		case len(out) > 0:
			return next()
		case flags&0x80 != 0:
			data = data[4:]
			fallthrough
		default:
			in = append(in, data[1:]...)
			if flags&0x40 != 0 {
				return []byte{0}
			}
			go func(b []byte) { _, _ = near.Write(b) }(in)
			in = nil
			out = written()
			return next()
		}
		out = written()
		return next()
	}
}

func TestTLS(t *testing.T) {
	p, stranger := pki(t), pki(t)
	for name, tt := range map[string]struct {
		with   tls.Certificate
		change func(*tls.Config)
		mtu    int
		want   auth.Verdict
		detail string
	}{
		"TLS 1.3":              {with: p.cert(t, "alice"), mtu: 1400, want: auth.Accepted},
		"TLS 1.2":              {with: p.cert(t, "alice"), change: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, mtu: 1400, want: auth.Accepted},
		"a narrow link":        {with: p.cert(t, "alice"), mtu: 128, want: auth.Accepted},
		"an unknown link":      {with: p.cert(t, "alice"), want: auth.Accepted},
		"another user's":       {with: p.cert(t, "bob"), mtu: 1400, want: auth.BadCredentials, detail: "bob"},
		"a stranger's":         {with: stranger.cert(t, "alice"), mtu: 1400, want: auth.BadCredentials, detail: "unknown authority"},
		"a stranger's, in 1.2": {with: stranger.cert(t, "alice"), change: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, mtu: 1400, want: auth.BadCredentials, detail: "unknown authority"},
		"none":                 {mtu: 1400, want: auth.BadCredentials, detail: "certificate"},
		"one that doubts us":   {with: p.cert(t, "alice"), change: func(c *tls.Config) { c.RootCAs = stranger.pool }, mtu: 1400, want: auth.BadCredentials, detail: "remote error"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.change == nil {
				tt.change = func(*tls.Config) {}
			}
			answer, n := talk(t, New(p.server("alice")), "alice", tt.mtu, map[Type]peer{TLS: p.client(t, tt.with, tt.change)})
			if answer.Verdict != tt.want || !strings.Contains(answer.Detail, tt.detail) {
				t.Errorf("it is %v: %s, after %d Requests", answer.Verdict, answer.Detail, n)
			}
		})
	}
}

// hello begins an exchange of EAP-TLS, and sends half of what the handshake begins with, so
// that it is under way.
func hello(t *testing.T, b auth.Backend, from string) error {
	t.Helper()
	call := auth.Call{Remote: netip.AddrPortFrom(netip.MustParseAddr(from), 4500)}
	answer, err := b.Authenticate(t.Context(), &auth.Request{Method: auth.EAP, User: "alice", Call: call, EAP: append([]byte{2, 1, 0, 10, 1}, "alice"...)})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_ = tls.Client(far, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}).Handshake()
	}()
	record := make([]byte, 1<<14)
	n, err := near.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	packet := append([]byte{2, answer.EAP[1], 0, 0, byte(TLS), 0}, record[:n]...)
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	answer, err = answer.Next.Authenticate(t.Context(), &auth.Request{Method: auth.EAP, User: "alice", Call: call, EAP: packet})
	if err == nil && answer.Verdict != auth.Asked {
		t.Fatalf("the handshake ends: %s", answer.Detail)
	}
	return err
}

// Handshakes that nobody ends are bounded in number and in time, and those of one source keep
// no others out.
func TestHandshakesEnd(t *testing.T) {
	p := pki(t)
	synctest.Test(t, func(t *testing.T) {
		b := New(p.server("alice"))
		for range maxHandshakes {
			if err := hello(t, b, "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := hello(t, b, "192.0.2.1"); !errors.Is(err, errHandshakes) {
			t.Errorf("one more: %v", err)
		}
		for _, from := range []string{"192.0.2.2", "192.0.2.3", "2001:db8::1"} {
			if err := hello(t, b, from); err != nil {
				t.Errorf("one from %s: %v", from, err)
			}
		}
		time.Sleep(handshakeTime + time.Second)
		synctest.Wait()
		if err := hello(t, b, "192.0.2.1"); err != nil {
			t.Errorf("after %v: %v", handshakeTime, err)
		}
		time.Sleep(handshakeTime + time.Second)
	})
}

// fragment begins an exchange of EAP-TLS, and sends one fragment of many.
func fragment(t *testing.T, b auth.Backend, from string) (next func() (auth.Response, error)) {
	t.Helper()
	r := &auth.Request{Method: auth.EAP, User: "alice", Call: auth.Call{Remote: netip.AddrPortFrom(netip.MustParseAddr(from), 4500)}, EAP: append([]byte{2, 1, 0, 10, 1}, "alice"...)}
	answer, err := b.Authenticate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return func() (auth.Response, error) {
		r.EAP = append([]byte{2, answer.EAP[1], 0, 0, byte(TLS), flagMore}, make([]byte, 1000)...)
		binary.BigEndian.PutUint16(r.EAP[2:], uint16(len(r.EAP)))
		then, err := answer.Next.Authenticate(t.Context(), r)
		if err == nil && then.Verdict == auth.Asked {
			answer = then
		}
		return then, err
	}
}

// Fragments of handshakes that never begin are kept of as many as there are places, and for as
// long as these are held.
func TestFragmentsTakeAPlace(t *testing.T) {
	p := pki(t)
	synctest.Test(t, func(t *testing.T) {
		b := New(p.server("alice"))
		var all []func() (auth.Response, error)
		for range maxHandshakes {
			next := fragment(t, b, "192.0.2.1")
			if answer, err := next(); err != nil || answer.Verdict != auth.Asked {
				t.Fatal(answer, err)
			}
			all = append(all, next)
		}
		if _, err := fragment(t, b, "192.0.2.1")(); !errors.Is(err, errHandshakes) {
			t.Errorf("one more: %v", err)
		}
		if answer, err := fragment(t, b, "192.0.2.2")(); err != nil || answer.Verdict != auth.Asked {
			t.Errorf("another source's: %v, %v", answer, err)
		}
		if answer, err := all[0](); err != nil || answer.Verdict != auth.BadCredentials || answer.Detail != "EAP-TLS: "+errLeft.Error() {
			t.Errorf("the one that made room: %v, %v", answer, err)
		}
		if answer, err := all[1](); err != nil || answer.Verdict != auth.Asked {
			t.Errorf("another one: %v, %v", answer, err)
		}
		time.Sleep(handshakeTime + time.Second)
		synctest.Wait()
		if answer, err := all[1](); err != nil || answer.Verdict != auth.BadCredentials {
			t.Errorf("after %v: %v, %v", handshakeTime, answer, err)
		}
	})
}

// A panic in a handshake ends that exchange, and is not the user's fault.
func TestAPanicEndsOneExchange(t *testing.T) {
	p := pki(t)
	synctest.Test(t, func(t *testing.T) {
		c := p.server("alice")
		ours := c.TLS()
		ours.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("of the test") }
		c.TLS = func() *tls.Config { return ours }
		b := New(c)
		for range 2 * maxHandshakes { // and gives its place back
			if err := hello(t, b, "192.0.2.1"); !errors.Is(err, errPanic) {
				t.Fatal(err)
			}
			synctest.Wait()
		}
	})
}

// Who wants another method, or breaks a handshake off by what is none of it, holds no place.
func TestWhoIsNotAtAHandshakeHoldsNoPlace(t *testing.T) {
	p := pki(t)
	for name, reply := range map[string]func(id byte) []byte{
		"Nak":            func(id byte) []byte { return []byte{2, id, 0, 6, byte(typeNak), byte(MSCHAPv2)} },
		"nothing":        nil,
		"another method": func(id byte) []byte { return []byte{2, id, 0, 6, 6, 1} },
		"another packet": func(id byte) []byte { return []byte{2, id + 1, 0, 6, byte(TLS), 0} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := p.server("alice")
				c.Methods = has(TLS, MSCHAPv2)
				b := New(c)
				for i := range 2 * maxHandshakes {
					answer, err := b.Authenticate(t.Context(), &auth.Request{Method: auth.EAP, User: "alice", EAP: append([]byte{2, 1, 0, 10, 1}, "alice"...)})
					if err == nil && reply != nil {
						_, err = answer.Next.Authenticate(t.Context(), &auth.Request{Method: auth.EAP, User: "alice", EAP: reply(answer.EAP[1])})
					}
					if err != nil {
						t.Fatalf("exchange %d: %v", i, err)
					}
				}
			})
		})
	}
}

func FuzzExchange(f *testing.F) {
	f.Add(fmt.Appendf(nil, "\x02\x01\x00\x0a\x01alice"), []byte("\x02\x02\x00\x06\x03\x1a"))
	f.Add([]byte("\x02\x01\x00\x05\x01"), []byte("\x02\x02\x00\x3f\x1a\x02"))
	f.Add([]byte("\x02\x01\x00\x05\x01"), []byte("\x02\x02\x00\x0a\x0d\x80\x00\x00\x00\x10"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		b := New(Config{Name: "adit", Methods: has(MSCHAPv2), Users: users()})
		answer := auth.Response{Next: b}
		for _, packet := range [][]byte{first, second, second} {
			var err error
			answer, err = answer.Next.Authenticate(t.Context(), &auth.Request{Method: auth.EAP, User: "alice", EAP: packet})
			if err != nil {
				t.Fatal(err)
			}
			if answer.Verdict == auth.Accepted {
				t.Fatal("accepted")
			}
			if answer.Verdict != auth.Asked {
				return
			}
		}
	})
}

func FuzzFragments(f *testing.F) {
	f.Add([]byte{0x80, 0, 0, 0, 9, 1}, []byte{0}, uint16(40))
	f.Add([]byte{0x40, 1, 2}, []byte{0, 3}, uint16(0))
	f.Fuzz(func(t *testing.T, a, b []byte, n uint16) {
		x := fragments{room: 100}
		sent := []byte(nil)
		strip := func(d []byte) {
			if len(d) > x.room {
				t.Fatalf("%d bytes", len(d))
			}
			if d[0]&flagLength != 0 {
				d = d[4:]
			}
			sent = append(sent, d[1:]...)
		}
		flight := bytes.Repeat([]byte{7}, int(n)+1)
		strip(x.send(bytes.Clone(flight)))
		for len(x.out) > 0 {
			next, _, err := x.take([]byte{0})
			if err != nil {
				t.Fatal(err)
			}
			strip(next)
		}
		if !bytes.Equal(sent, flight) {
			t.Fatalf("%d bytes of %d", len(sent), len(flight))
		}
		for _, data := range [][]byte{a, b} {
			if _, flight, err := x.take(data); err == nil && len(flight)+len(x.in) > len(a)+len(b) {
				t.Fatal("more than came")
			}
		}
	})
}
