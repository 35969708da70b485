package radius

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

// answered asks a server that answers with what add adds.
func answered(t *testing.T, code radius.Code, add func(r *radius.Packet)) (auth.Response, error) {
	t.Helper()
	s := serve(t, func(p *radius.Packet, _ []byte) []byte { return signed(p, code, add) })
	return client(t, Config{}, s).Authenticate(context.Background(), papRequest())
}

// An attribute that cannot be read costs itself, whatever is wrong with it, and
// is named; what stands beside it counts.
func TestAttributesThatCannotBeRead(t *testing.T) {
	vendor := func(number uint32, attribute string) string { return fmt.Sprintf("%08x %s", number, attribute) }
	for _, tt := range []struct {
		name   string
		kind   radius.Type
		values []string
		named  string
	}{
		{"Framed-IP-Address", 8, []string{"", "0a53", "0a53000901"}, "Framed-IP-Address (8)"},
		{"Framed-MTU", 12, []string{"", "0578", "000005780000"}, "Framed-MTU (12)"},
		{"Framed-Route", 22, []string{"", "6e6f7768657265", "31302e302e302e302f3939", "ff00"}, "Framed-Route (22)"},
		{"Idle-Timeout", 28, []string{"00", "3630303030"}, "Idle-Timeout (28)"},
		{"Acct-Interim-Interval", 85, []string{"0102", "0000000000000001"}, "Acct-Interim-Interval (85)"},
		{"Framed-Interface-Id", 96, []string{"", "01020304"}, "Framed-Interface-Id (96)"},
		{"Framed-IPv6-Prefix", 97, []string{"", "00", "008120010db8", "0040 20010db8000000000000000000000000000000"}, "Framed-IPv6-Prefix (97)"},
		{"Framed-IPv6-Route", 99, []string{"6e6f7768657265"}, "Framed-IPv6-Route (99)"},
		{"Delegated-IPv6-Prefix", 123, []string{"00ff20010db8"}, "Delegated-IPv6-Prefix (123)"},
		{"Framed-IPv6-Address", 168, []string{"", "20010db8"}, "Framed-IPv6-Address (168)"},
		{"DNS-Server-IPv6-Address", 169, []string{"20010db8"}, "DNS-Server-IPv6-Address (169)"},
		{"Route-IPv6-Information", 170, []string{"00"}, "Route-IPv6-Information (170)"},
		{"MS-Primary-DNS-Server", 26, []string{vendor(311, "1c03 01"), vendor(311, "1c02")}, "MS-Primary-DNS-Server (28 of vendor 311)"},
		{"MS-Secondary-DNS-Server", 26, []string{vendor(311, "1d07 0102030405")}, "MS-Secondary-DNS-Server (29 of vendor 311)"},
		{"Cisco-AVPair", 26, []string{vendor(9, "0119"+"69707365633a726f7574652d7365743d6e6f7768657265")}, "Cisco-AVPair (1 of vendor 9)"},
		{"Vendor-Specific", 26, []string{vendor(9, "01"), vendor(9, "0101"), vendor(311, "1c08 01010101")}, "Vendor-Specific (26, of vendor"},
	} {
		for _, value := range tt.values {
			r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) {
				raw(r, tt.kind, value)
				_ = rfc2865.FilterID_AddString(r, "staff")
			})
			if err != nil || r.Verdict != auth.Accepted || !reflect.DeepEqual(r.Grant, auth.Grant{Group: "staff"}) {
				t.Errorf("%s %q: %+v, %v", tt.name, value, r, err)
			}
			if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], tt.named) {
				t.Errorf("%s %q: warnings %q, want one about %s", tt.name, value, r.Warnings, tt.named)
			}
		}
	}
}

// What bounds the user and cannot be read lets nobody in, and says so.
func TestALimitThatCannotBeRead(t *testing.T) {
	for _, value := range []string{"", "0e10", "00000e1000"} {
		r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) { raw(r, 27, value) })
		if err != nil || r.Verdict != auth.NotAllowed || !strings.Contains(r.Detail, "Session-Timeout (27) cannot be read") || r.Grant.User != "" {
			t.Errorf("%q: %+v, %v", value, r, err)
		}
	}
}

// One answer makes few lines, however much of it cannot be read.
func TestManyAttributesThatCannotBeRead(t *testing.T) {
	r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) {
		for range 200 {
			raw(r, 22, "ff")
		}
	})
	if err != nil || r.Verdict != auth.Accepted || len(r.Warnings) != maxWarnings {
		t.Errorf("%d warnings, %v, %v", len(r.Warnings), r.Verdict, err)
	}
}

// Of other vendors, and what we do not know, nothing is read.
func TestAttributesThatAreNotForUs(t *testing.T) {
	r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) {
		for kind, value := range map[radius.Type]string{26: "00003a8c ff", 200: "", 241: "01", 13: "00"} {
			raw(r, kind, value)
		}
	})
	if err != nil || r.Verdict != auth.Accepted || len(r.Warnings) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A reply whose attributes cannot be told apart is an answer: it names what is
// wrong, at once, and is no silence.
func TestARepliesListThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct{ tail, want string }{
		"a length of 0":            {"\x12\x00", "attribute (18) at byte 38 has the length 0"},
		"a length of 1":            {"\x16\x01x", "Framed-Route (22) at byte 38 has the length 1"},
		"longer than what is left": {"\x08\x06\x0a\x53\x00\x07\x1b\x06\x00", "Session-Timeout (27) at byte 44 has the length 6, and 3 bytes are left"},
		"half a header":            {"\x19", "Class (25) at byte 38 is cut off"},
	} {
		for _, code := range []radius.Code{radius.CodeAccessAccept, radius.CodeAccessReject} {
			s := serve(t, func(p *radius.Packet, _ []byte) []byte {
				b := append([]byte{byte(code), p.Identifier, 0, 0}, p.Authenticator[:]...)
				b = append(append(b, 80, 18), make([]byte, 16)...)
				b = append(b, tt.tail...)
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
				copy(b[22:38], hmacMD5(b, []byte(shared)))
				return authentic(b)
			})
			_, err := client(t, Config{Timeout: time.Minute}, s).Authenticate(context.Background(), papRequest())
			if !errors.Is(err, ErrUnreadable) || errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %s", name, err, tt.want)
			}
			if s.count() != 1 {
				t.Errorf("%s: asked %d times", name, s.count())
			}
		}
	}
}

// A server that keeps silent may not know us, and the error says as whom.
func TestSilenceMayMeanThatWeAreNotKnown(t *testing.T) {
	s := serve(t, func(*radius.Packet, []byte) []byte { return nil })
	_, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "does not know 127.0.0.1 as a client, or has another secret") {
		t.Errorf("got %v", err)
	}
}

// What the server says to the user is kept, whatever it decides.
func TestReplyMessages(t *testing.T) {
	for code, verdict := range map[radius.Code]auth.Verdict{
		radius.CodeAccessAccept: auth.Accepted, radius.CodeAccessReject: auth.BadCredentials, radius.CodeAccessChallenge: auth.NotAllowed,
	} {
		r, err := answered(t, code, func(r *radius.Packet) {
			_ = rfc2865.ReplyMessage_AddString(r, "Your account is locked.")
			_ = rfc2865.ReplyMessage_AddString(r, "Call 1234.")
		})
		if err != nil || r.Verdict != verdict || r.Message != "Your account is locked. Call 1234." {
			t.Errorf("%v: %+v, %v", code, r, err)
		}
	}
}

// Of an attribute that counts once, the first that can be read does.
func TestTheFirstThatCanBeReadCounts(t *testing.T) {
	r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) {
		for _, value := range []string{"05", "00000514", "00000578"} {
			raw(r, 12, value)
		}
	})
	if err != nil || r.Grant.MTU != 1300 || len(r.Warnings) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A record has arrived when its answer has, whatever that holds.
func TestAnAccountingResponseThatCannotBeRead(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return authentic(append(append([]byte{byte(radius.CodeAccountingResponse), p.Identifier, 0, 22}, p.Authenticator[:]...), 18, 0))
	})
	c, err := New(Config{
		Servers: []Server{{Address: s.address(), Accounting: s.address(), Secret: secret.String(shared)}}, NASIdentifier: "adit", Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Account(auth.Record{
		Status: auth.Stop, Time: time.Now(), User: "alice", Address: netip.MustParseAddr("10.83.0.2"),
		Call: papRequest().Call,
	})
	if err := c.Close(); err != nil || s.count() != 1 {
		t.Errorf("sent %d times: %v", s.count(), err)
	}
}
