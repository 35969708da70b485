package radius

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/secret"
)

const shared = "shared secret"

// signed encodes a reply with its Message-Authenticator, by the text of RFC
// 2869, section 5.14, and not by the code under test.
func signed(p *radius.Packet, code radius.Code, add func(*radius.Packet)) []byte {
	return signedWith(p, shared, code, add)
}

func signedWith(p *radius.Packet, secret string, code radius.Code, add func(*radius.Packet)) []byte {
	r := p.Response(code)
	_ = rfc2869.MessageAuthenticator_Add(r, make([]byte, 16))
	if add != nil {
		add(r)
	}
	plain, _ := r.MarshalBinary() // the request's authenticator in place
	h := hmac.New(md5.New, []byte(secret))
	h.Write(plain)
	_ = rfc2869.MessageAuthenticator_Set(r, h.Sum(nil))
	b, _ := r.Encode()
	return b
}

func unsigned(p *radius.Packet, code radius.Code) []byte {
	b, _ := p.Response(code).Encode()
	return b
}

func client(t *testing.T, cfg Config, servers ...*fakeServer) *Client {
	t.Helper()
	for _, s := range servers {
		cfg.Servers = append(cfg.Servers, Server{Address: s.address(), Accounting: s.address(), Secret: secret.String(shared)})
	}
	cfg.NASIdentifier, cfg.Dial = "adit", dialFake
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func papRequest() *auth.Request {
	return &auth.Request{Method: auth.PAP, User: "alice", Password: secret.String("wonderland"), Call: auth.Call{
		SessionID: "0123", Port: 7,
		Remote: netip.MustParseAddrPort("198.51.100.7:4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500"),
	}}
}

func TestAccessRequestIsSignedFirstAndCarriesTheCall(t *testing.T) {
	seen := make(chan []byte, 2)
	s := serve(t, func(p *radius.Packet, b []byte) []byte {
		seen <- b
		return signed(p, radius.CodeAccessAccept, nil)
	})
	r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	if err != nil || r.Verdict != auth.Accepted {
		t.Fatal(r, err)
	}
	raw := <-seen
	if raw[20] != 80 || raw[21] != 18 {
		t.Errorf("the first attribute is %d, want Message-Authenticator", raw[20])
	}
	mac := append([]byte(nil), raw[22:38]...)
	clear(raw[22:38])
	h := hmac.New(md5.New, []byte(shared))
	h.Write(raw)
	if !hmac.Equal(mac, h.Sum(nil)) {
		t.Error("the request's Message-Authenticator is wrong")
	}
	p := s.last()
	if rfc2865.UserName_GetString(p) != "alice" || rfc2865.UserPassword_GetString(p) != "wonderland" ||
		rfc2865.CallingStationID_GetString(p) != "198.51.100.7" || rfc2865.CalledStationID_GetString(p) != "192.0.2.1" ||
		rfc2865.NASPort_Get(p) != 7 || rfc2866.AcctSessionID_GetString(p) != "0123" || rfc2865.NASIdentifier_GetString(p) != "adit" {
		t.Errorf("attributes are wrong: %v", p.Attributes)
	}
}

// CVE-2024-3596: an attacker in the path can turn a reject into an accept unless the
// reply is signed.
func TestUnsignedRepliesAreRefusedUnlessAllowed_CVE_2024_3596(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte { return unsigned(p, radius.CodeAccessAccept) })
	_, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	if !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "post-auth") || !strings.Contains(err.Error(), "allow_unsigned_replies") {
		t.Errorf("got %v; want an error that names the line and the opt-out", err)
	}
	r, err := client(t, Config{AllowUnsigned: true}, s).Authenticate(context.Background(), papRequest())
	if err != nil || r.Verdict != auth.Accepted {
		t.Errorf("with the opt-out: %v %v", r.Verdict, err)
	}
}

func TestForgedRepliesArePassedOver(t *testing.T) {
	for name, forge := range map[string]func([]byte){
		"response authenticator": func(b []byte) { b[4] ^= 1 },
		"code":                   func(b []byte) { b[0] = byte(radius.CodeAccessAccept) },
		"message authenticator":  func(b []byte) { b[22] ^= 1 },
	} {
		s := serve(t, func(p *radius.Packet, _ []byte) []byte {
			b := signed(p, radius.CodeAccessReject, nil)
			forge(b)
			return b
		})
		bubble(t, func(t *testing.T) {
			if r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest()); !errors.Is(err, ErrForged) {
				t.Errorf("forged %s was believed: %v, %v", name, r.Verdict, err)
			}
		})
	}
}

func TestMSCHAPv2AttributesAndProof(t *testing.T) {
	response := make([]byte, 49)
	for i := range response {
		response[i] = byte(i)
	}
	req := papRequest()
	req.Method, req.ID, req.Response, req.Challenge = auth.MSCHAPv2, 9, response, []byte("0123456789abcdef")
	proof := "S=" + strings.Repeat("A", 40)
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
			_ = microsoft.MSCHAP2Success_Add(r, append([]byte{9}, proof+" M=hello"...))
		})
	})
	r, err := client(t, Config{}, s).Authenticate(context.Background(), req)
	if err != nil || r.Success != proof {
		t.Fatalf("Success = %q, %v", r.Success, err)
	}
	v := microsoft.MSCHAP2Response_Get(s.last())
	if len(v) != 50 || v[0] != 9 || v[1] != 0 || v[2] != 0 || v[49] != 47 {
		t.Errorf("MS-CHAP2-Response = %x", v)
	}
	bare := serve(t, func(p *radius.Packet, _ []byte) []byte { return signed(p, radius.CodeAccessAccept, nil) })
	if _, err := client(t, Config{}, bare).Authenticate(context.Background(), req); err == nil || !strings.Contains(err.Error(), "MS-CHAP2-Success") {
		t.Errorf("an accept without proof: %v", err)
	}
}

func TestRejectSaysWhy(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessReject, func(r *radius.Packet) {
			_ = rfc2865.ReplyMessage_AddString(r, "Account locked")
			_ = microsoft.MSCHAPError_Add(r, append([]byte{9}, "E=647 R=0 C=00 V=3"...))
		})
	})
	r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	if err != nil || r.Verdict != auth.NotAllowed || r.Code != 647 || r.Message != "Account locked" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestGrant(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
			_ = rfc2865.FramedIPAddress_Add(r, net.IPv4(10, 83, 0, 9))
			_ = rfc2865.SessionTimeout_Add(r, 3600)
			_ = rfc2865.IdleTimeout_Add(r, 600)
			_ = rfc2865.Class_Add(r, []byte("c1"))
			_ = rfc2865.FilterID_AddString(r, "staff")
			_ = rfc2865.FilterID_AddString(r, "others")
			_ = rfc2865.FramedRoute_AddString(r, "192.168.7.0/24 0.0.0.0 1")
			_ = microsoft.MSPrimaryDNSServer_Add(r, net.IPv4(1, 1, 1, 1))
			_ = rfc2869.AcctInterimInterval_Add(r, 5)
		})
	})
	r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	g := r.Grant
	if err != nil || g.Address.String() != "10.83.0.9" || g.SessionTimeout != time.Hour || g.IdleTimeout != 10*time.Minute ||
		string(g.Class[0]) != "c1" || g.Filters[0] != "staff" || g.Routes[0].String() != "192.168.7.0/24" || g.DNS[0].String() != "1.1.1.1" || g.InterimInterval != time.Minute {
		t.Errorf("grant = %+v, %v", g, err)
	}
}

// cisco makes the Cisco-AVPair that FreeRADIUS makes of its dictionary's.
func cisco(text string) radius.Attribute {
	a, err := radius.NewVendorSpecific(9, append([]byte{1, byte(len(text) + 2)}, text...))
	if err != nil {
		panic(err)
	}
	return a
}

func TestCiscoAVPairsSayWhatIsToldToTheClient(t *testing.T) {
	var pairs atomic.Pointer[[]string]
	pairs.Store(&[]string{
		"ipsec:route-set=prefix 192.168.7.0/24", "shell:priv-lvl=15", "ipsec:route-set=prefix 10.1.2.3/8", "ipsec:default-domain=corp.example",
	})
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
			for _, text := range *pairs.Load() {
				r.Add(rfc2865.VendorSpecific_Type, cisco(text))
			}
			r.Add(rfc2865.VendorSpecific_Type, radius.Attribute{0, 0, 0, 9, 1, 200, 'x'}) // longer than it is
		})
	})
	c := client(t, Config{}, s)
	r, err := c.Authenticate(context.Background(), papRequest())
	g := r.Grant
	if err != nil || len(g.Split) != 2 || g.Split[0].String() != "192.168.7.0/24" || g.Split[1].String() != "10.0.0.0/8" || g.Domain != "corp.example" {
		t.Errorf("grant = %+v, %v", g, err)
	}
	pairs.Store(&[]string{"ipsec:route-set=prefix nowhere"})
	r, err = c.Authenticate(context.Background(), papRequest())
	if err != nil || r.Verdict != auth.Accepted || len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0], "Cisco-AVPair (1 of vendor 9)") ||
		!strings.Contains(r.Warnings[0], "write it as ipsec:route-set=prefix 192.0.2.0/24") || !strings.Contains(r.Warnings[1], "Vendor-Specific (26, of vendor 9)") {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAccountingKeepsOrderOverALossyServerAndCountsGigawords(t *testing.T) {
	bubble(t, accountingKeepsOrder)
}

func accountingKeepsOrder(t *testing.T) {
	var mu sync.Mutex
	var got []rfc2866.AcctStatusType
	lose := true
	came := make(chan struct{}, 9)
	s := serve(t, func(p *radius.Packet, raw []byte) []byte {
		if p.Code == radius.CodeStatusServer {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if lose = !lose; !lose { // every other packet is lost
			return nil
		}
		if !radius.IsAuthenticRequest(raw, []byte(shared)) {
			t.Error("an accounting request does not verify")
		}
		if status := rfc2866.AcctStatusType_Get(p); status <= rfc2866.AcctStatusType_Value_InterimUpdate {
			got = append(got, status)
			defer func() { came <- struct{}{} }()
		}
		if rfc2866.AcctStatusType_Get(p) == rfc2866.AcctStatusType_Value_Stop {
			if rfc2866.AcctInputOctets_Get(p) != 5 || rfc2869.AcctInputGigawords_Get(p) != 3 ||
				rfc2866.AcctTerminateCause_Get(p) != rfc2866.AcctTerminateCause_Value_IdleTimeout ||
				rfc2866.AcctSessionTime_Get(p) != 90 || string(rfc2865.Class_Get(p)) != "c" {
				t.Errorf("Stop record is wrong: %v", p.Attributes)
			}
		}
		r := p.Response(radius.CodeAccountingResponse)
		b, _ := r.Encode()
		return b
	})
	s.forgets = true
	c := client(t, Config{}, s)
	rec := auth.Record{User: "alice", Call: papRequest().Call, Address: netip.MustParseAddr("10.83.0.2"), Class: [][]byte{[]byte("c")}, Time: time.Now()}
	for _, status := range []auth.Status{auth.Start, auth.Interim, auth.Stop} {
		rec.Status = status
		if status == auth.Stop {
			rec.InputOctets, rec.Duration, rec.Cause = 3<<32+5, 90*time.Second, auth.IdleTimeout
		}
		c.Account(rec)
		<-came // a Stop would take the place of an interim that waits
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 3 || got[0] != rfc2866.AcctStatusType_Value_Start || got[1] != rfc2866.AcctStatusType_Value_InterimUpdate {
		t.Errorf("records came as %v", got)
	}
}

// What a server sends back in Class, and records that make no packet, delay
// nobody else's records.
func TestNoRecordBlocksTheOthers(t *testing.T) {
	stops := make(chan string, 10)
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		if name := rfc2865.UserName_GetString(p); name != "" {
			stops <- name
		}
		b, _ := p.Response(radius.CodeAccountingResponse).Encode()
		return b
	})
	lost := make(chan string, 10)
	c := client(t, Config{Problem: func(text string) { lost <- text }}, s)
	rec := auth.Record{User: "greedy", Call: papRequest().Call, Address: netip.MustParseAddr("10.83.0.2"), Status: auth.Stop, Time: time.Now()}
	for range 16 { // an Access-Accept full of them
		rec.Class = append(rec.Class, bytes.Repeat([]byte("c"), 250))
	}
	c.Account(rec)
	rec.Class, rec.User = nil, strings.Repeat("u", 300) // no attribute
	c.Account(rec)
	rec.User = "alice"
	c.Account(rec)
	for _, want := range []string{"greedy", "alice"} {
		if got := <-stops; got != want {
			t.Errorf("a record of %.20q came, want %q", got, want)
		}
	}
	if text := <-lost; !strings.Contains(text, "is lost") {
		t.Errorf("the administrator was told %q", text)
	}
}

// authentic writes the Response Authenticator of a reply that has the request's
// (RFC 2865, section 3).
func authentic(b []byte) []byte { return authenticWith(b, shared) }

func authenticWith(b []byte, secret string) []byte {
	sum := md5.Sum(append(append([]byte(nil), b...), secret...))
	copy(b[4:20], sum[:])
	return b
}
