package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// RFC 1320, appendix A.5.
func TestMD4(t *testing.T) {
	for in, want := range map[string]string{
		"":    "31d6cfe0d16ae931b73c59d7e0c089c0",
		"abc": "a448017aaf21d8525fc10ae87aa6729d",
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890": "e33b4ddc9c38f2199c3e7b164fcc0536",
	} {
		if got := MD4([]byte(in)); hex.EncodeToString(got[:]) != want {
			t.Errorf("MD4(%q) = %x, want %s", in, got, want)
		}
	}
}

// RFC 2759, section 9.2.
func TestMSCHAPv2(t *testing.T) {
	challenge, peer := [16]byte(unhex("5B5D7C7D7B3F2F3E3C2C602132262628")), [16]byte(unhex("21402324255E262A28295F2B3A337C7E"))
	for _, user := range []string{"User", `DOMAIN\User`} {
		m := NewMSCHAPv2(user, "clientPass", challenge, peer)
		if want := unhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"); !bytes.Equal(m.Response[:], want) {
			t.Errorf("%s: response = %x", user, m.Response)
		}
		const proof = "S=407A5589115FD0D6209F510FE9C04566932CDA56"
		if !m.Proves(proof) || !m.Proves(proof+" M=hello") || m.Proves("S=407a5589115fd0d6209f510fe9c04566932cda56") || m.Proves("") {
			t.Errorf("%s: the proof is not judged rightly", user)
		}
	}
}

// The last bytes are those that RFC 2409 section 6.2 and RFC 3526 print.
func TestPrimesAreSafeAndEndAsPrinted(t *testing.T) {
	for group, tail := range map[int]string{
		2: "49286651ece65381ffffffffffffffff", 5: "f1746c08ca237327ffffffffffffffff",
		14: "15728e5a8aacaa68ffffffffffffffff", 15: "4b82d120a93ad2caffffffffffffffff", 16: "4df435c934063199ffffffffffffffff",
	} {
		b := Prime(group).Bytes()
		if got := hex.EncodeToString(b[len(b)-16:]); got != tail {
			t.Errorf("group %d ends in %s, want %s", group, got, tail)
		}
		if !Prime(group).ProbablyPrime(1) {
			t.Errorf("group %d has no prime", group)
		}
	}
}

func TestExchangesAgree(t *testing.T) {
	for _, group := range []int{2, 5, 14, 15, 19, 20, 21} {
		a, err := NewExchange(group)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := NewExchange(group)
		x, err1 := a.Shared(b.Public)
		y, err2 := b.Shared(a.Public)
		if err1 != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("group %d: %v, %v, %x, %x", group, err1, err2, x, y)
		}
		if _, err := a.Shared(make([]byte, len(a.Public))); err == nil {
			t.Errorf("group %d takes a public value of zero", group)
		}
	}
}

func TestESPOpensWhatItSealsAndNothingElse(t *testing.T) {
	for _, s := range []ESPSuite{
		{Transform: 12, KeyLength: 256, Auth: 2}, {Transform: 12, KeyLength: 128, Auth: 5}, {Transform: 12, KeyLength: 256, Auth: 5, Truncate: 12},
		{Transform: 3, Auth: 1}, {Transform: 12, KeyLength: 192, Auth: 7}, {Transform: 20, KeyLength: 128},
	} {
		enc, auth := s.KeySizes()
		keymat := bytes.Repeat([]byte{7, 8, 9, 10}, 40)[:enc+auth]
		out, in := NewESP(0x100, s, keymat), NewESP(0x100, s, keymat)
		for n := range 40 {
			b, err := out.Seal(make([]byte, n), 17)
			if err != nil {
				t.Fatal(err)
			}
			seq, payload, next, err := in.Open(b)
			if err != nil || int(seq) != n+1 || next != 17 || len(payload) != n {
				t.Errorf("%+v: %d, %x, %d, %v", s, seq, payload, next, err)
			}
			b[len(b)-1] ^= 1
			if _, _, _, err := in.Open(b); err == nil {
				t.Errorf("%+v opens a changed packet", s)
			}
			if _, _, _, err := in.Open(b[:n]); err == nil {
				t.Errorf("%+v opens %d bytes", s, n)
			}
		}
	}
}

func TestSARoundTrip(t *testing.T) {
	attributes := append(TV(1, 7), TLV4(12, 28800)...)
	b := SABody(
		Proposal{Number: 1, Protocol: 3, SPI: []byte{1, 2, 3, 4}, Transforms: []Transform{{1, 12, attributes}, {2, 3, TV(4, 2)}}},
		Proposal{Number: 2, Protocol: 3, SPI: []byte{1, 2, 3, 4}, Transforms: []Transform{{1, 3, nil}}})
	list, err := ParseSA(b)
	if err != nil || !bytes.Equal(SABody(list...), b) {
		t.Errorf("%+v, %v", list, err)
	}
	for n := range b {
		if _, err := ParseSA(b[:n]); err == nil && n != 8 {
			t.Errorf("%d of %d bytes are taken", n, len(b))
		}
	}
	a, err := Attributes(attributes)
	if err != nil || a[1] != 7 || a[12] != 28800 {
		t.Errorf("%v, %v", a, err)
	}
}

func TestUDPChecksum(t *testing.T) {
	src, dst := netip.MustParseAddrPort("10.0.0.1:68"), netip.MustParseAddrPort("255.255.255.255:67")
	b := UDP{src, dst, []byte("hello")}.IP(64, true)
	s, d, p, payload, err := ParseIP(b)
	if err != nil || s != src.Addr() || d != dst.Addr() || p != 17 {
		t.Fatal(s, d, p, err)
	}
	u, honest, err := ParseSegment(s, d, payload)
	if err != nil || !honest || u.Src != src || u.Dst != dst || string(u.Payload) != "hello" {
		t.Errorf("%+v, %v, %v", u, honest, err)
	}
	payload[9] ^= 1
	if _, honest, _ := ParseSegment(s, d, payload); honest {
		t.Error("a wrong checksum is taken")
	}
}
