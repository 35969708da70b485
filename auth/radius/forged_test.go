package radius

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"testing"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// forge makes the reply that an attacker in the path sends in the place of an Access-Reject
// (CVE-2024-3596). By MD5 collisions, and with what the server reflects in Proxy-State,
// the response authenticator that the server computed is also that of this reply: so it is
// right here. What the attacker cannot make is a Message-Authenticator.
func forge(p *radius.Packet, code radius.Code, attributes ...[]byte) []byte {
	b := append([]byte{byte(code), p.Identifier, 0, 0}, p.Authenticator[:]...)
	for _, a := range attributes {
		b = append(b, a...)
	}
	for range 3 { // the near-collision blocks are in attributes that nobody looks at
		b = append(append(b, 33, 255), bytes.Repeat([]byte{0xa5}, 253)...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return authentic(b)
}

// forgeries are what a reply may have in place of a Message-Authenticator.
var forgeries = map[string]struct {
	attributes func(p *radius.Packet) [][]byte
	want       error
}{
	"none": {func(*radius.Packet) [][]byte { return nil }, ErrUnsigned},
	"a wrong one": {func(*radius.Packet) [][]byte {
		return [][]byte{append([]byte{80, 18}, bytes.Repeat([]byte{7}, 16)...)}
	}, ErrForged},
	"an empty one": {func(*radius.Packet) [][]byte { return [][]byte{{80, 2}} }, ErrForged},
	"a short one":  {func(*radius.Packet) [][]byte { return [][]byte{{80, 6, 1, 2, 3, 4}} }, ErrForged},
	"one in a vendor's": {func(*radius.Packet) [][]byte {
		return [][]byte{append([]byte{26, 24, 0, 0, 1, 55, 80, 18}, make([]byte, 16)...)}
	}, ErrUnsigned},
	"the request's own": {func(p *radius.Packet) [][]byte {
		return [][]byte{append([]byte{80, 18}, p.Attributes[0].Attribute...)}
	}, ErrForged},
	"two": {func(*radius.Packet) [][]byte {
		return [][]byte{append([]byte{80, 18}, make([]byte, 16)...), append([]byte{80, 18}, make([]byte, 16)...)}
	}, ErrForged},
}

// Every forgery, for every method and every probe, is refused: nobody comes in by it, and
// no server lives by it.
func TestForgeriesAreRefused_CVE_2024_3596(t *testing.T) {
	for name, f := range forgeries {
		for _, code := range []radius.Code{radius.CodeAccessAccept, radius.CodeAccessReject, radius.CodeAccessChallenge} {
			s := serve(t, func(p *radius.Packet, _ []byte) []byte { return forge(p, code, f.attributes(p)...) })
			for _, method := range []auth.Method{auth.PAP, auth.CHAP, auth.MSCHAPv2} {
				bubble(t, func(t *testing.T) {
					r := papRequest()
					r.Method, r.Challenge, r.Response = method, make([]byte, 16), make([]byte, 16)
					if method == auth.MSCHAPv2 {
						r.Response = make([]byte, 49)
					}
					c := client(t, Config{}, s)
					got, err := c.Authenticate(context.Background(), r)
					if !errors.Is(err, f.want) || got.Verdict != 0 {
						t.Errorf("%s, %v to %v: %v, %v, want %v", name, code, method, got.Verdict, err, f.want)
					}
					st := c.Status()[0]
					if !st.Heard.IsZero() || st.Dropped["unsigned"]+st.Dropped["forged"] == 0 || st.Results["unusable"] != 1 {
						t.Errorf("%s, %v: %+v", name, code, st)
					}
				})
			}
			bubble(t, func(t *testing.T) {
				by, err := Probe(context.Background(), Config{NASIdentifier: "adit", Dial: dialFake}, Server{Address: s.address(), Secret: secret.String(shared)})
				if err == nil {
					t.Errorf("%s, %v: a server lives by %s", name, code, by)
				}
			})
		}
	}
}

// The Message-Authenticator covers the whole reply wherever it stands: what is real is
// believed, and what was changed behind or before it is not.
func TestARealSignatureAnywhere(t *testing.T) {
	for name, at := range map[string]int{"first": 0, "last": 1} {
		for changed, flip := range map[string]int{"": 0, "a byte before the end": 1} {
			s := serve(t, func(p *radius.Packet, _ []byte) []byte {
				mac, other := append([]byte{80, 18}, make([]byte, 16)...), []byte{27, 6, 0, 0, 14, 16}
				list := [][]byte{mac, other}
				if at == 1 {
					list = [][]byte{other, mac}
				}
				b := append([]byte{byte(radius.CodeAccessAccept), p.Identifier, 0, 44}, p.Authenticator[:]...)
				b = append(b, bytes.Join(list, nil)...)
				h := hmac.New(md5.New, []byte(shared))
				h.Write(b)
				copy(b[22+6*at:], h.Sum(nil))
				b[len(b)-max(1, flip)] ^= byte(flip)
				return authentic(b)
			})
			bubble(t, func(t *testing.T) {
				r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
				if good := err == nil && r.Verdict == auth.Accepted; good != (flip == 0) {
					t.Errorf("%s %s: %v, %v", name, changed, r.Verdict, err)
				}
			})
		}
	}
}

// Of two Message-Authenticators none counts, though one of them be right.
func TestTwoSignaturesAreNone(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		mac := append([]byte{80, 18}, make([]byte, 16)...)
		b := append([]byte{byte(radius.CodeAccessAccept), p.Identifier, 0, 56}, p.Authenticator[:]...)
		b = append(append(b, mac...), mac...)
		h := hmac.New(md5.New, []byte(shared))
		h.Write(b)
		copy(b[40:], h.Sum(nil))
		return authentic(b)
	})
	bubble(t, func(t *testing.T) {
		if r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest()); !errors.Is(err, ErrForged) {
			t.Errorf("%v, %v", r.Verdict, err)
		}
	})
}
