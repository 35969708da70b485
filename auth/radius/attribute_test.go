package radius

import (
	"context"
	"encoding/binary"
	"encoding/hex"
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

// An attribute that cannot be read is ignored and named, whatever is wrong with it; the
// others count.
func TestAttributesThatCannotBeRead(t *testing.T) {
	vendor := func(number uint32, attribute string) string { return fmt.Sprintf("%08x %s", number, attribute) }
	for _, tt := range []struct {
		name   string
		kind   radius.Type
		values []string
		named  string
	}{
		{"Framed-MTU", 12, []string{"", "0578", "000005780000"}, "Framed-MTU (12)"},
		{"Framed-Route", 22, []string{"", "6e6f7768657265", "31302e302e302e302f3939", "ff00"}, "Framed-Route (22)"},
		{"Idle-Timeout", 28, []string{"00", "3630303030"}, "Idle-Timeout (28)"},
		{"Acct-Interim-Interval", 85, []string{"0102", "0000000000000001"}, "Acct-Interim-Interval (85)"},
		{"Framed-Interface-Id", 96, []string{"", "01020304"}, "Framed-Interface-Id (96)"},
		{"Framed-IPv6-Route", 99, []string{"6e6f7768657265"}, "Framed-IPv6-Route (99)"},
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
			if err != nil || r.Verdict != auth.Accepted || !reflect.DeepEqual(r.Grant, auth.Grant{Filters: []string{"staff"}, By: auth.ByRADIUS}) {
				t.Errorf("%s %q: %+v, %v", tt.name, value, r, err)
			}
			if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], tt.named) {
				t.Errorf("%s %q: warnings %q, want one about %s", tt.name, value, r.Warnings, tt.named)
			}
		}
	}
}

// If an attribute that limits the user, or an address, cannot be read, the user is refused,
// and the reason says so.
func TestALimitThatCannotBeRead(t *testing.T) {
	vendor := func(number uint32, attribute string) string { return fmt.Sprintf("%08x %s", number, attribute) }
	for _, tt := range []struct {
		kind   radius.Type
		values []string
		named  string
	}{
		{27, []string{"", "0e10", "00000e1000"}, "Session-Timeout (27) cannot be read"},
		{8, []string{"", "0a53", "0a53000901"}, "Framed-IP-Address (8) cannot be read"},
		{97, []string{"", "00", "008120010db8", "0040 20010db8000000000000000000000000000000"}, "Framed-IPv6-Prefix (97) cannot be read"},
		{123, []string{"00ff20010db8"}, "Delegated-IPv6-Prefix (123) cannot be read"},
		{168, []string{"", "20010db8"}, "Framed-IPv6-Address (168) cannot be read"},
		{6, []string{"", "02"}, "Service-Type (6) cannot be read"},
		{6, []string{"00000001", "00000006", "ffffffff"}, "which is not Framed (2)"},
		{62, []string{"02"}, "Port-Limit (62) cannot be read"},
		{88, []string{"", "0102"}, "Framed-Pool (88) cannot be read"},
		{92, []string{hex.EncodeToString([]byte("permit in tcp")), hex.EncodeToString([]byte("deny in ip from any to any ipoptions ssrr"))}, "NAS-Filter-Rule (92) cannot be applied"},
		{26, []string{vendor(14988, "0806"+hex.EncodeToString([]byte("fast")))}, "Mikrotik-Rate-Limit (8 of vendor 14988) cannot be read"},
		{26, []string{vendor(14122, "0906"+hex.EncodeToString([]byte("soon")))}, "WISPr-Session-Terminate-Time (9 of vendor 14122) cannot be read"},
	} {
		for _, value := range tt.values {
			r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) { raw(r, tt.kind, value) })
			if err != nil || r.Verdict != auth.NotAllowed || !strings.Contains(r.Detail, tt.named) || r.Grant.User != "" {
				t.Errorf("%d %q: %+v, %v", tt.kind, value, r, err)
			}
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

// Everything that has no effect is named, however much of it one answer has: what is left out
// would be left out of every answer.
func TestManyAttributesThatHaveNoEffect(t *testing.T) {
	r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) {
		for range 2 {
			for kind := radius.Type(200); kind < 240; kind++ {
				raw(r, kind, "00")
			}
		}
	})
	if err != nil || r.Verdict != auth.Accepted || len(r.Warnings) != 40 {
		t.Errorf("%d warnings of 40 attributes, %v, %v", len(r.Warnings), r.Verdict, err)
	}
}

// What has no effect is said once a server and attribute, and counted always; what means
// nothing here is not said.
func TestAttributesThatHaveNoEffect(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
			for _, a := range []struct {
				kind  radius.Type
				value string
			}{
				{26, "00003a8d ff"}, {200, "00"}, {241, "01"}, {13, "00000001"}, {29, "00000001"}, {9, "ffffff00"}, {10, "00000000"}, {7, "00000001"},
				{26, "00003a8c 1303 41"}, {26, "00003a8c 6303 41"}, {26, "00000137 0e06 00000032"}, {26, "00000009 0107 783a793d7a"}, {26, "00000137 1604 0000"},
			} {
				raw(r, a.kind, a.value)
			}
		})
	})
	c := client(t, Config{}, s)
	want := []string{
		"attributes of vendor 14989 has no effect", "attribute 200 has", "attribute 241 has", "Framed-IP-Netmask has",
		"Mikrotik-Address-List has", "attribute 99 of vendor 14988 has", `Cisco-AVPair "x:y" has`, "MS-Filter has", "Termination-Action has",
	}
	for i := range 2 {
		r, err := c.Authenticate(context.Background(), papRequest())
		if err != nil || r.Verdict != auth.Accepted {
			t.Fatalf("%+v, %v", r, err)
		}
		if i == 1 {
			want = nil
		}
		if len(r.Warnings) != len(want) {
			t.Errorf("%d warnings, want %d: %q", len(r.Warnings), len(want), r.Warnings)
			continue
		}
		for i, text := range want {
			if !strings.HasPrefix(r.Warnings[i], text) {
				t.Errorf("%q, want %q", r.Warnings[i], text)
			}
		}
	}
	if n := c.IgnoredAttributes(); n["Mikrotik-Address-List"] != 2 || n["attribute 200"] != 2 {
		t.Errorf("counted %v", n)
	}
}

// A reply whose attributes cannot be separated counts as an answer: the error comes at
// once, and names what is wrong.
func TestARepliesListThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct{ tail, want string }{
		"a length of 0":            {"\x12\x00", "Reply-Message (18) at byte 38 has the length 0"},
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
			_, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
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
	bubble(t, func(t *testing.T) {
		s := serve(t, func(*radius.Packet, []byte) []byte { return nil })
		_, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
		want := s.address() + ": no RADIUS server answers: it keeps silent, as it also does if it does not know 192.0.2.100 as a client, or has another secret for it"
		if !errors.Is(err, ErrNoAnswer) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
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
		Servers: []Server{{Address: s.address(), Accounting: s.address(), Secret: secret.String(shared)}}, NASIdentifier: "adit", Dial: dialFake,
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
