package radius

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
)

// eapPacket is a packet of EAP with a type and so many bytes more.
func eapPacket(code, id byte, n int) []byte {
	return append([]byte{code, id, byte((5 + n) >> 8), byte(5 + n), 26}, bytes.Repeat([]byte{0xab}, n)...)
}

// withEAP adds a packet of EAP in attributes as long as they can be, or shorter.
func withEAP(p *radius.Packet, packet []byte, piece int) {
	for len(packet) > 0 {
		n := min(piece, len(packet))
		p.Add(rfc2869.EAPMessage_Type, radius.Attribute(packet[:n]))
		packet = packet[n:]
	}
}

func eapOf(p *radius.Packet) (packet []byte) {
	for _, a := range p.Attributes {
		if a.Type == rfc2869.EAPMessage_Type {
			packet = append(packet, a.Attribute...)
		}
	}
	return packet
}

// eapFrom is a request with a packet of the peer's.
func eapFrom(packet []byte) *auth.Request {
	at := netip.MustParseAddrPort("192.0.2.7:4500")
	return &auth.Request{Method: auth.EAP, User: "alice", EAP: packet, MTU: 1400, Call: auth.Call{SessionID: "1", Remote: at, Local: at}}
}

// An exchange passes through whatever the packets' lengths are, with the State of each
// challenge.
func TestEAPPassesThrough(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		switch string(rfc2865.State_Get(p)) {
		case "":
			return signed(p, radius.CodeAccessChallenge, func(r *radius.Packet) {
				withEAP(r, eapPacket(1, 8, 1000), 253)
				_ = rfc2865.State_Add(r, []byte("first"))
			})
		case "first":
			return signed(p, radius.CodeAccessChallenge, func(r *radius.Packet) {
				withEAP(r, eapPacket(1, 9, 3), 2)
				_ = rfc2865.State_Add(r, []byte("second"))
			})
		}
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
			withEAP(r, []byte{3, 9, 0, 4}, 253)
			_ = rfc2865.UserName_AddString(r, "alice@example.com")
		})
	})
	answer := auth.Response{Next: client(t, Config{AllowUnsigned: true}, s)}
	for i, packet := range [][]byte{eapPacket(2, 7, 5), eapPacket(2, 8, 1400), eapPacket(2, 9, 0)} {
		var err error
		answer, err = answer.Next.Authenticate(t.Context(), eapFrom(packet))
		if err != nil {
			t.Fatal(err)
		}
		got := s.last()
		if !bytes.Equal(eapOf(got), packet) || rfc2865.FramedMTU_Get(got) != 1400 || rfc2865.UserName_GetString(got) != "alice" {
			t.Errorf("request %d: %x, MTU %d, of %q", i, eapOf(got), rfc2865.FramedMTU_Get(got), rfc2865.UserName_GetString(got))
		}
		if want := [][]byte{eapPacket(1, 8, 1000), eapPacket(1, 9, 3), nil}[i]; !bytes.Equal(answer.EAP, want) {
			t.Errorf("answer %d: %x, want %x", i, answer.EAP, want)
		}
	}
	if answer.Verdict != auth.Accepted || answer.Grant.User != "alice@example.com" {
		t.Errorf("the verdict is %+v", answer)
	}
}

// What a server must not answer is no verdict. A reply with EAP needs its
// Message-Authenticator, whatever the configuration allows others.
func TestEAPRefusesWhatBreaksItsRules(t *testing.T) {
	for name, tt := range map[string]struct {
		reply func(p *radius.Packet) []byte
		want  error
	}{
		"a challenge without EAP": {func(p *radius.Packet) []byte { return signed(p, radius.CodeAccessChallenge, nil) }, errEAP},
		"a challenge that is a Success": {func(p *radius.Packet) []byte {
			return signed(p, radius.CodeAccessChallenge, func(r *radius.Packet) { withEAP(r, []byte{3, 8, 0, 4}, 253) })
		}, errEAP},
		"a Failure that accepts": {func(p *radius.Packet) []byte {
			return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) { withEAP(r, []byte{4, 8, 0, 4}, 253) })
		}, errEAP},
		"a Request that accepts": {func(p *radius.Packet) []byte {
			return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) { withEAP(r, eapPacket(1, 8, 9), 253) })
		}, errEAP},
		"a length too large": {func(p *radius.Packet) []byte {
			return signed(p, radius.CodeAccessChallenge, func(r *radius.Packet) { withEAP(r, eapPacket(1, 8, 9)[:8], 253) })
		}, errEAP},
		"a forged Success": {func(p *radius.Packet) []byte {
			r := p.Response(radius.CodeAccessAccept)
			withEAP(r, []byte{3, 8, 0, 4}, 253)
			b, _ := r.Encode()
			return b
		}, ErrUnsigned},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(p *radius.Packet, _ []byte) []byte { return tt.reply(p) })
			answer, err := client(t, Config{AllowUnsigned: true}, s).Authenticate(t.Context(), eapFrom(eapPacket(2, 7, 5)))
			if !errors.Is(err, tt.want) {
				t.Errorf("it is %+v, %v; want %v", answer, err, tt.want)
			}
		})
	}
}

// A refusal is one, with EAP in it or without, and its text is for the log.
func TestEAPIsRejected(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessReject, func(r *radius.Packet) {
			withEAP(r, []byte{4, 7, 0, 4}, 253)
			_ = rfc2865.ReplyMessage_AddString(r, "outside hours")
		})
	})
	answer, err := client(t, Config{AllowUnsigned: true}, s).Authenticate(t.Context(), eapFrom(eapPacket(2, 7, 5)))
	if err != nil || answer.Verdict != auth.BadCredentials || !strings.Contains(answer.Message, "outside hours") {
		t.Errorf("it is %+v, %v", answer, err)
	}
}
