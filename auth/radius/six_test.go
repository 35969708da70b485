package radius

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/adit-vpn/adit/auth"
)

// raw adds an attribute as it is on the wire, whatever the library thinks.
func raw(r *radius.Packet, kind radius.Type, value string) {
	b, err := hex.DecodeString(strings.ReplaceAll(value, " ", ""))
	if err != nil {
		panic(err)
	}
	r.Add(kind, b)
}

func TestIPv6OfAGrant(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		return signed(p, radius.CodeAccessAccept, func(r *radius.Packet) {
			raw(r, 96, "0102030405060708")                                 // Framed-Interface-Id
			raw(r, 97, "00 40 20010db800010077")                           // Framed-IPv6-Prefix, 2001:db8:1:77::/64
			raw(r, 123, "00 38 20010db8f00001")                            // Delegated-IPv6-Prefix, /56
			raw(r, 168, "20010db8000900000000000000000007")                // Framed-IPv6-Address
			raw(r, 169, "262000fe000000000000000000000009")                // DNS-Server-IPv6-Address
			raw(r, 170, "00 20 20010db8")                                  // Route-IPv6-Information
			raw(r, 99, hex.EncodeToString([]byte("2001:db8:7::/48 :: 1"))) // Framed-IPv6-Route
		})
	})
	r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	g := r.Grant
	want := auth.IPv6{
		Address: netip.MustParseAddr("2001:db8:9::7"), Prefix: netip.MustParsePrefix("2001:db8:1:77::/64"),
		Delegated: netip.MustParsePrefix("2001:db8:f000:100::/56"), Interface: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
	}
	if err != nil || g.IPv6 != want {
		t.Fatalf("got %+v, %v; want %+v", g.IPv6, err, want)
	}
	if len(g.DNS) != 1 || g.DNS[0].String() != "2620:fe::9" || len(g.Split) != 1 || g.Split[0].String() != "2001:db8::/32" ||
		len(g.Routes) != 1 || g.Routes[0].String() != "2001:db8:7::/48" {
		t.Errorf("got %+v", g)
	}
}

func TestAGrantWithoutIPv6HasNone(t *testing.T) {
	s := serve(t, func(p *radius.Packet, _ []byte) []byte { return signed(p, radius.CodeAccessAccept, nil) })
	r, err := client(t, Config{}, s).Authenticate(context.Background(), papRequest())
	if err != nil || r.Grant.IPv6 != (auth.IPv6{}) || r.Grant.Split != nil {
		t.Errorf("got %+v, %v", r.Grant, err)
	}
}

func TestIPv6IsAccounted(t *testing.T) {
	got := make(chan map[radius.Type]string, 1)
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		if rfc2866.AcctStatusType_Get(p) != rfc2866.AcctStatusType_Value_Start {
			b, _ := p.Response(radius.CodeAccountingResponse).Encode()
			return b
		}
		list := map[radius.Type]string{}
		for _, a := range p.Attributes {
			list[a.Type] = hex.EncodeToString(a.Attribute)
		}
		got <- list
		b, err := p.Response(radius.CodeAccountingResponse).Encode()
		if err != nil {
			t.Error(err)
		}
		return b
	})
	c := client(t, Config{}, s)
	c.Account(auth.Record{
		Status: auth.Start, User: "alice", Address: netip.MustParseAddr("10.83.0.2"), Time: time.Now(),
		Call: auth.Call{SessionID: "1", Remote: netip.MustParseAddrPort("[2001:db8::7]:4500"), Local: netip.MustParseAddrPort("[2001:db8::1]:4500")},
		IPv6: auth.IPv6{
			Address: netip.MustParseAddr("2001:db8:9::7"), Prefix: netip.MustParsePrefix("2001:db8:1:77::/64"),
			Delegated: netip.MustParsePrefix("2001:db8:f000:100::/56"), Interface: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
		},
	})
	list := <-got
	for kind, want := range map[radius.Type]string{
		95: "20010db8000000000000000000000001", 96: "0102030405060708", 97: "004020010db800010077", 123: "003820010db8f00001", 168: "20010db8000900000000000000000007",
	} {
		// A prefix may be written with more zero bytes than it needs.
		if v := list[kind]; !strings.HasPrefix(v, want) || strings.Trim(strings.TrimPrefix(v, want), "0") != "" {
			t.Errorf("attribute %d is %q, want %q", kind, v, want)
		}
	}
}
