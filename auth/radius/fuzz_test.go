package radius

import (
	"bytes"
	"crypto/md5" //nolint:gosec // RFC 2865, section 3
	"encoding/binary"
	"testing"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/auth"
)

// FuzzReply gives the client what a server that has the secret may send: any
// attributes, rightly signed. What is granted must be sound whatever they say.
func FuzzReply(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x08\x06\x0a\x53\x00\x07" + "\x16\x0e10.9.0.0/16 " + "\x0b\x07staff"))                                 // address, route, group
	f.Add([]byte("\x1a\x0c\x00\x00\x01\x37\x1c\x06\x09\x09\x09\x09" + "\x1b\x06\x00\x00\x0e\x10"))                       // Microsoft's DNS, Session-Timeout
	f.Add([]byte("\x1a\x33\x00\x00\x01\x37\x1a\x2d\x01S=0123456789ABCDEF0123456789ABCDEF01234567"))                      // MS-CHAP2-Success
	f.Add([]byte("\x61\x0a\x00\x40\x20\x01\x0d\xb8\x00\x01" + "\x7b\x0a\x00\x38\x20\x01\x0d\xb8\x00\x02"))               // Framed-IPv6-Prefix, Delegated-IPv6-Prefix
	f.Add([]byte("\x1a\x1d\x00\x00\x00\x09\x01\x17ip:route=10.0.0.0/8  x" + "\x60\x0a\x00\x00\x00\x00\x00\x00\x00\x01")) // Cisco-AVPair, Framed-Interface-Id
	secret := []byte("a secret")
	f.Fuzz(func(t *testing.T, attributes []byte) {
		if len(attributes) > 4096-38 {
			return
		}
		asked := radius.New(radius.CodeAccessRequest, secret)
		request, err := asked.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte{byte(radius.CodeAccessAccept), asked.Identifier, 0, 0}, asked.Authenticator[:]...)
		b = append(b, 80, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		b = append(b, attributes...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		copy(b[22:38], hmacMD5(b, secret))
		sum := md5.Sum(append(append([]byte{}, b...), secret...)) //nolint:gosec // as above
		copy(b[4:20], sum[:])

		reply, err := verify(b, &pending{link: &link{}, packet: asked, request: request}, false)
		if err != nil {
			return
		}
		resp, _, err := accepted(&auth.Request{Method: auth.MSCHAPv2}, reply, true)
		if err == nil && len(resp.Success) != 42 {
			t.Fatalf("MS-CHAPv2's success is %q", resp.Success)
		}
		resp, _, err = accepted(&auth.Request{Method: auth.PAP}, reply, true)
		if err != nil {
			return
		}
		for _, p := range resp.Grant.Routes {
			if !p.IsValid() || p != p.Masked() {
				t.Fatalf("the route %v", p)
			}
		}
		if a := resp.Grant.Address; a.IsValid() && (!a.Is4() || a.IsUnspecified()) {
			t.Fatalf("the address %v", a)
		}
		_ = message(reply)
	})
}

// FuzzStream gives a connection anything: what comes out of it is whole packets, or an
// error, and none of them is a reply to what was asked.
func FuzzStream(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x02\x00\x00\x140123456789abcdef\x02\x00\x00\x160123456789abcdef\x19\x02"))
	f.Add([]byte("\x02\x00\x00\x13"))
	f.Add([]byte("\x34\x01\xff\xff0123456789abcdef"))
	secret := []byte("a secret")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, buf, taken := bytes.NewReader(b), make([]byte, radius.MaxPacketLength), 0
		for {
			p, err := receive(r, true, buf)
			if err != nil {
				break
			}
			if len(p) < 20 || len(p) != int(binary.BigEndian.Uint16(p[2:])) || !bytes.Equal(p, b[taken:taken+len(p)]) {
				t.Fatalf("a packet of %d bytes at %d", len(p), taken)
			}
			taken += len(p)
			asked := radius.New(radius.CodeAccessRequest, secret)
			asked.Identifier = p[1]
			request, _ := asked.Encode()
			if _, err := verify(p, &pending{link: &link{stream: true}, packet: asked, request: request}, true); err == nil {
				t.Fatal("it was believed")
			}
		}
	})
}
