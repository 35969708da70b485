package radius

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"strings"
	"testing"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/internal/secret"
)

// Every way of a server to answer a probe, and not to.
func TestProbe(t *testing.T) {
	refuse := func(p *radius.Packet, _ []byte) []byte { return signed(p, radius.CodeAccessReject, nil) }
	for name, tc := range map[string]struct {
		answer func(p *radius.Packet, raw []byte) []byte
		secret string
		by     string
		err    string
	}{
		"a server that knows Status-Server": {
			answer: func(p *radius.Packet, _ []byte) []byte {
				if p.Code != radius.CodeStatusServer {
					return nil
				}
				return signed(p, radius.CodeAccessAccept, nil)
			}, secret: shared, by: "Status-Server",
		},
		"one that does not, as NPS": {
			answer: func(p *radius.Packet, raw []byte) []byte {
				if p.Code != radius.CodeAccessRequest || rfc2865.UserName_GetString(p) != probeUser {
					return nil
				}
				return refuse(p, raw)
			}, secret: shared, by: "an Access-Request of the user adit-check",
		},
		"one that signs nothing": {
			answer: func(p *radius.Packet, _ []byte) []byte { return unsigned(p, radius.CodeAccessReject) },
			secret: shared, err: "carries no Message-Authenticator",
		},
		"one with another secret that answers all the same": {answer: refuse, secret: "another secret", err: "the shared secrets differ"},
		"silence": {
			answer: func(*radius.Packet, []byte) []byte { return nil }, secret: shared, err: "no RADIUS server answers",
		},
	} {
		s := serve(t, tc.answer)
		var by string
		var err error
		bubble(t, func(t *testing.T) {
			by, err = Probe(context.Background(), Config{NASIdentifier: "adit", Dial: dialFake}, Server{Address: s.address(), Secret: secret.String(tc.secret)})
		})
		switch {
		case tc.err == "" && (err != nil || by != tc.by):
			t.Errorf("%s: %q, %v, want %q", name, by, err, tc.by)
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("%s: %v, want %q", name, err, tc.err)
		}
	}
}

// RFC 5997, section 2: a Status-Server has a Message-Authenticator, over the
// whole packet; and the accounting service answers it with Accounting-Response.
func TestStatusServerIsSigned(t *testing.T) {
	raw := make(chan []byte, 8)
	s := serve(t, func(p *radius.Packet, b []byte) []byte {
		raw <- bytes.Clone(b)
		return unsigned(p, radius.CodeAccountingResponse)
	})
	cfg := Config{NASIdentifier: "adit", Dial: dialFake}
	if err := ProbeAccounting(context.Background(), cfg, Server{Accounting: s.address(), Secret: secret.String(shared)}); err != nil {
		t.Fatal(err)
	}
	p, err := radius.Parse(<-raw, []byte(shared))
	if err != nil || p.Code != radius.CodeStatusServer || rfc2865.NASIdentifier_GetString(p) != "adit" {
		t.Fatalf("%v, %v", p, err)
	}
	sent := rfc2869.MessageAuthenticator_Get(p)
	_ = rfc2869.MessageAuthenticator_Set(p, make([]byte, 16))
	plain, _ := p.MarshalBinary()
	h := hmac.New(md5.New, []byte(shared))
	h.Write(plain)
	if !hmac.Equal(sent, h.Sum(nil)) {
		t.Errorf("Message-Authenticator %x, want %x", sent, h.Sum(nil))
	}
}
