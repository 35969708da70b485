package radius

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/adit-vpn/adit/auth"
)

// Termination-Action RADIUS-Request has the State of the Access-Accept come back (RFC 2865,
// section 5.24), where the client can be asked.
func TestAStateComesBackWhenAUserAuthenticatesAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		attributes string // type and value
		request    *auth.Request
		again      bool
		ignored    string
	}{
		"asked for":         {"29 00000001 24 aabb", chapRequest(), true, ""},
		"without State":     {"29 00000001", chapRequest(), true, ""},
		"Default":           {"29 00000000 24 aabb", chapRequest(), false, ""},
		"State alone":       {"24 aabb", chapRequest(), false, ""},
		"another value":     {"29 00000007", chapRequest(), false, "7 is neither"},
		"a client with PAP": {"29 00000001 24 aabb", papRequest(), false, "by PAP a client cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(p *radius.Packet, _ []byte) []byte {
				return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
					for f := strings.Fields(tt.attributes); len(f) > 0; f = f[2:] {
						value, _ := hex.DecodeString(f[1])
						r.Add(map[string]radius.Type{"29": 29, "24": 24}[f[0]], value)
					}
				})
			})
			c := client(t, Config{}, s)
			answer, err := c.Authenticate(context.Background(), tt.request)
			if err != nil || answer.Verdict != auth.Accepted || (answer.Grant.Again != nil) != tt.again {
				t.Fatalf("%+v, %v", answer, err)
			}
			if got := strings.Join(answer.Warnings, "; "); !strings.Contains(got, tt.ignored) || (got == "") != (tt.ignored == "") {
				t.Errorf("warnings %q", got)
			}
			if rfc2865.State_Get(s.last()) != nil {
				t.Error("the first request has a State")
			}
			if !tt.again {
				return
			}
			tt.request.State = answer.Grant.Again.State
			if _, err := c.Authenticate(context.Background(), tt.request); err != nil {
				t.Fatal(err)
			}
			want := ""
			if strings.Contains(tt.attributes, "aabb") {
				want = "\xaa\xbb"
			}
			if got := string(rfc2865.State_Get(s.last())); got != want {
				t.Errorf("State %x came back, want %x", got, want)
			}
		})
	}
}

// An exchange of EAP begins with the State of the Access-Accept, and goes on with that of each
// Access-Challenge.
func TestAnEAPExchangeBeginsWithTheStateOfTheAccept(t *testing.T) {
	var states []string
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		states = append(states, string(rfc2865.State_Get(p)))
		if len(states) == 1 {
			return signed(p, radius.CodeAccessChallenge, func(r *radius.Packet) {
				withEAP(r, eapPacket(1, 8, 10), 253)
				_ = rfc2865.State_AddString(r, "of the challenge")
			})
		}
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) { withEAP(r, []byte{3, 8, 0, 4}, 253) })
	})
	r := eapFrom(eapPacket(2, 7, 5))
	r.State = []byte("of the accept")
	answer, err := client(t, Config{}, s).Authenticate(t.Context(), r)
	if err != nil || answer.Verdict != auth.Asked {
		t.Fatalf("%+v, %v", answer, err)
	}
	if _, err := answer.Next.Authenticate(t.Context(), eapFrom(eapPacket(2, 8, 5))); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(states, ", "); got != "of the accept, of the challenge" {
		t.Errorf("the server saw %q", got)
	}
}

func chapRequest() *auth.Request {
	r := papRequest()
	r.Method, r.ID, r.Challenge, r.Response = auth.CHAP, 1, make([]byte, 16), make([]byte, 16)
	return r
}
