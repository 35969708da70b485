package radius

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
)

// sent is one attribute: of a vendor, if that is not 0.
type sent struct {
	vendor uint32
	number byte
	value  any // a string, a number, or bytes
}

func (s sent) add(p *radius.Packet) {
	var b []byte
	switch v := s.value.(type) {
	case string:
		b = []byte(v)
	case int:
		b = binary.BigEndian.AppendUint32(nil, uint32(v))
	case netip.Addr:
		b = v.AsSlice()
	}
	kind := radius.Type(s.number)
	if s.vendor != 0 {
		b = append(binary.BigEndian.AppendUint32(nil, s.vendor), append([]byte{s.number, byte(len(b) + 2)}, b...)...)
		kind = 26
	}
	raw(p, kind, hex.EncodeToString(b))
}

func rulesOf(t *testing.T, texts ...string) (f limit.Filter) {
	t.Helper()
	for _, text := range texts {
		var r limit.Rule
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		f = append(f, r)
	}
	return f
}

// What every attribute of policy grants.
func TestWhatAttributesGrant(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	rates := func(in, out limit.Rate) auth.Grant {
		return auth.Grant{Limits: auth.Limits{Rates: limit.Rates{In: in, Out: out}}}
	}
	routes := func(list ...string) (g auth.Grant) {
		for _, s := range list {
			g.Routes = append(g.Routes, prefix(s))
		}
		return g
	}
	long := "permit in tcp from any to 10.0.0.0/8 443,8000-8010" + strings.Repeat(" ", 250)
	for name, x := range map[string]struct {
		sent []sent
		want auth.Grant
	}{
		"Framed":                      {[]sent{{0, 6, 2}}, auth.Grant{}},
		"an address":                  {[]sent{{0, 8, addr("10.83.0.9")}}, auth.Grant{Address: addr("10.83.0.9")}},
		"RouterOS's pool, 127":        {[]sent{{0, 8, addr("127.0.0.1")}}, auth.Grant{}},
		"RouterOS's pool, 224":        {[]sent{{0, 8, addr("230.1.2.3")}}, auth.Grant{}},
		"255.255.255.254":             {[]sent{{0, 8, addr("255.255.255.254")}}, auth.Grant{}},
		"pools":                       {[]sent{{0, 88, "four"}, {0, 100, "six"}, {0, 171, "routers"}}, auth.Grant{Pools: auth.Pools{IPv4: "four", IPv6: "six", Delegated: "routers"}}},
		"a pool of addresses":         {[]sent{{0, 172, "six"}}, auth.Grant{Pools: auth.Pools{IPv6: "six"}}},
		"a name with a zero byte":     {[]sent{{0, 88, "four\x00"}}, auth.Grant{Pools: auth.Pools{IPv4: "four"}}},
		"Filter-Ids":                  {[]sent{{0, 11, "staff"}, {0, 11, "web.in"}}, auth.Grant{Filters: []string{"staff", "web.in"}}},
		"Mikrotik-Group":              {[]sent{{14988, 3, "staff"}}, auth.Grant{Filters: []string{"staff"}}},
		"ASA's group":                 {[]sent{{3076, 25, "OU=staff;"}}, auth.Grant{Filters: []string{"staff"}}},
		"Port-Limit":                  {[]sent{{0, 62, 2}}, auth.Grant{Limits: auth.Limits{Sessions: 2}}},
		"ASA's logins":                {[]sent{{3076, 2, 3}}, auth.Grant{Limits: auth.Limits{Sessions: 3}}},
		"a rule":                      {[]sent{{0, 92, "deny in ip from any to 10.0.0.0/8"}}, auth.Grant{Limits: auth.Limits{Filter: rulesOf(t, "deny in ip from any to 10.0.0.0/8")}}},
		"rules, each its own":         {[]sent{{0, 92, "deny in ip from any to 10.0.0.0/8"}, {0, 92, "deny in udp from any to any"}}, auth.Grant{Limits: auth.Limits{Filter: rulesOf(t, "deny in ip from any to 10.0.0.0/8", "deny in udp from any to any")}}},
		"rules in one":                {[]sent{{0, 92, "deny in ip from any to 10.0.0.0/8\x00deny in udp from any to any\x00"}}, auth.Grant{Limits: auth.Limits{Filter: rulesOf(t, "deny in ip from any to 10.0.0.0/8", "deny in udp from any to any")}}},
		"a rule in two":               {[]sent{{0, 92, long[:253]}, {0, 92, long[253:] + "established"}}, auth.Grant{Limits: auth.Limits{Filter: rulesOf(t, "permit in tcp from any to 10.0.0.0/8 443,8000-8010 established")}}},
		"NBNS":                        {[]sent{{311, 30, addr("10.0.0.42")}, {311, 31, addr("10.0.0.43")}}, auth.Grant{NBNS: []netip.Addr{addr("10.0.0.42"), addr("10.0.0.43")}}},
		"ASA's servers":               {[]sent{{3076, 5, addr("10.0.0.53")}, {3076, 7, addr("10.0.0.42")}, {3076, 28, "corp.example"}}, auth.Grant{Settings: auth.Settings{DNS: []netip.Addr{addr("10.0.0.53")}, Domain: "corp.example"}, NBNS: []netip.Addr{addr("10.0.0.42")}}},
		"Mikrotik's rates":            {[]sent{{14988, 8, "5M/20M"}}, rates(5e6, 20e6)},
		"Mikrotik's rate":             {[]sent{{14988, 8, "512k"}}, rates(512e3, 512e3)},
		"Mikrotik's, one way":         {[]sent{{14988, 8, "0/1000000"}}, rates(0, 1e6)},
		"Mikrotik's quota":            {[]sent{{14988, 1, 1000}, {14988, 14, 2}, {14988, 2, 5}, {14988, 18, 1}}, auth.Grant{Limits: auth.Limits{Quota: limit.Volume{In: 2<<32 + 1000, Out: 5, Total: 1 << 32}}}},
		"WISPr":                       {[]sent{{14122, 7, 5000000}, {14122, 8, 20000000}}, rates(5e6, 20e6)},
		"WISPr's end":                 {[]sent{{14122, 9, "2027-01-31T18:00:00+01:00"}}, auth.Grant{Until: time.Date(2027, 1, 31, 17, 0, 0, 0, time.UTC)}},
		"WISPr's end, another form":   {[]sent{{14122, 9, "2027-01-31T18:00:00+0100"}}, auth.Grant{Until: time.Date(2027, 1, 31, 17, 0, 0, 0, time.UTC)}},
		"WISPr's end, no zone":        {[]sent{{14122, 9, "2027-01-31T18:00:00"}}, auth.Grant{Until: time.Date(2027, 1, 31, 18, 0, 0, 0, time.Local)}},
		"Cisco's pool":                {[]sent{{9, 1, "ip:addr-pool=four"}}, auth.Grant{Pools: auth.Pools{IPv4: "four"}}},
		"Cisco's DNS":                 {[]sent{{9, 1, "ip:dns-servers=10.0.0.53 10.0.0.54"}, {9, 1, "ip:wins-servers*10.0.0.42"}}, auth.Grant{Settings: auth.Settings{DNS: []netip.Addr{addr("10.0.0.53"), addr("10.0.0.54")}}, NBNS: []netip.Addr{addr("10.0.0.42")}}},
		"Cisco's rates":               {[]sent{{9, 1, "lcp:interface-config#1=rate-limit input 10000000 80000 80000 conform-action transmit exceed-action drop"}, {9, 1, "ip:sub-qos-policy-out=20M"}}, auth.Grant{Limits: auth.Limits{Rates: limit.Rates{In: 10e6, BurstIn: 80000, Out: 20e6}}}},
		"Cisco's route":               {[]sent{{9, 1, "ip:route#3=192.0.2.0 255.255.255.0"}}, routes("192.0.2.0/24")},
		"Cisco's split":               {[]sent{{9, 1, "ipsec:route-set=prefix 192.0.2.0/24"}, {9, 1, "ipsec:default-domain=corp.example"}}, auth.Grant{Settings: auth.Settings{Split: []netip.Prefix{prefix("192.0.2.0/24")}, Domain: "corp.example"}}},
		"routes":                      {[]sent{{0, 22, "192.0.2.0/24 0.0.0.0 1"}, {0, 22, "192.0.2.7"}, {0, 22, "198.51.100.0/24 10.83.0.9 1 2 3"}}, routes("192.0.2.0/24", "192.0.2.7/32", "198.51.100.0/24")},
		"routes with masks":           {[]sent{{0, 22, "192.0.2.0 255.255.255.128 0.0.0.0 1"}, {0, 22, "ip route 172.16.0.0 255.240.0.0 10.83.0.9"}}, routes("192.0.2.0/25", "172.16.0.0/12")},
		"routes by class":             {[]sent{{0, 22, "10.0.0.0 0.0.0.0 1"}, {0, 22, "172.16.0.0"}, {0, 22, "192.0.2.0 10.83.0.9"}}, routes("10.0.0.0/8", "172.16.0.0/16", "192.0.2.0/24")},
		"an IPv6 route":               {[]sent{{0, 99, "2001:db8:7::/48 :: 1"}}, routes("2001:db8:7::/48")},
		"Class is nothing by default": {[]sent{{0, 25, "OU=staff;"}}, auth.Grant{Class: [][]byte{[]byte("OU=staff;")}}},
	} {
		r, err := answered(t, radius.CodeAccessAccept, func(p *radius.Packet) {
			for _, s := range x.sent {
				s.add(p)
			}
		})
		if err != nil || r.Verdict != auth.Accepted || len(r.Warnings) != 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if got := r.Grant; !got.Until.Equal(x.want.Until) {
			t.Errorf("%s: until %v", name, got.Until)
		} else if got.Until, x.want.By = x.want.Until, auth.ByRADIUS; !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
}

func TestClassNamesTheGroupWhereThatIsSet(t *testing.T) {
	for class, want := range map[string][]string{"OU=staff;": {"staff"}, "OU=staff": {"staff"}, "other": nil} {
		p := radius.New(radius.CodeAccessAccept, []byte("s"))
		sent{0, 25, class}.add(p)
		if g := grant(p, true); !reflect.DeepEqual(g.Filters, want) {
			t.Errorf("%s: %v", class, g.Filters)
		}
	}
}

// Mikrotik-Rate-Limit in all its parts.
func TestMikrotikRates(t *testing.T) {
	for value, want := range map[string]limit.Rates{
		"64k":                           {In: 64e3, Out: 64e3},
		"64k/128k":                      {In: 64e3, Out: 128e3},
		"1M/2M 2M/4M":                   {In: 1e6, Out: 2e6, BurstIn: 62500, BurstOut: 125000},      // 1 Mbit/s more for half a second
		"1M/2M 2M/4M 1M/1M 8/8":         {In: 1e6, Out: 2e6, BurstIn: 500000, BurstOut: 500000},     // for 4 s, and for 2
		"1M/2M 2M/4M 500k/1M 16/16 8":   {In: 1e6, Out: 2e6, BurstIn: 500000, BurstOut: 1000000},    // for 4 s each
		"1M/2M 0/0 0/0 0/0 8 64k/64k":   {In: 1e6, Out: 2e6},                                        // no burst
		"1M/2M 1M/1M 1M/1M 8/8 1":       {In: 1e6, Out: 2e6},                                        // a burst that is none
		"10M/10M 20M/20M 10M/10M 10/10": {In: 10e6, Out: 10e6, BurstIn: 6250000, BurstOut: 6250000}, // 5 s
		"1G":                            {In: 1e9, Out: 1e9},
	} {
		g := &granted{}
		if err := mikrotikRate(g, []byte(value)); err != nil || g.Limits.Rates != want {
			t.Errorf("%s: %+v, %v, want %+v", value, g.Limits.Rates, err, want)
		}
		ignored := 0
		if f := strings.Fields(value); len(f) > 4 && f[4] != "8" {
			ignored++
		}
		if len(strings.Fields(value)) > 5 {
			ignored++
		}
		if len(g.ignored) != ignored {
			t.Errorf("%s: %d parts have no effect, want %d", value, len(g.ignored), ignored)
		}
	}
	for _, value := range []string{"", "fast", "1M/", "/1M", "1M/2M/3M", "1M 2M 3M 4 5 6 7", "-1", "1.5M", "99999999999999M", "1M x"} {
		if err := mikrotikRate(&granted{}, []byte(value)); err == nil {
			t.Errorf("%q was read", value)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	for i, s := range []string{"1M/2M 2M/4M 1M/1M 8/8 8 64k/64k", "ip:route#3=192.0.2.0 255.255.255.0", "2027-01-31T18:00:00+01:00", "ip route 10.0.0.0 255.0.0.0 x", "permit in tcp from any to any\x00deny in ip from any to any"} {
		f.Add(byte(i), []byte(s))
	}
	f.Fuzz(func(t *testing.T, which byte, value []byte) {
		readers := []func(*granted, []byte) error{mikrotikRate, avPair, terminateTime, route, filterRule}
		g := &granted{}
		_ = readers[int(which)%len(readers)](g, value)
		g.settleQuota()
		g.settleRules()
		for _, p := range g.Routes {
			if !p.IsValid() || p != p.Masked() {
				t.Fatalf("the route %v", p)
			}
		}
		if r := g.Limits.Rates; max(r.In, r.Out) > limit.MaxRate || len(g.Limits.Filter) > limit.MaxRules || len(g.ignored) > len(value)+1 {
			t.Fatalf("%+v", g.Limits)
		}
		_ = fmt.Sprint(g.ignored)
	})
}

// What policies of NPS match on is sent, and bounded.
func TestWhatPoliciesOfNPSMatchOn(t *testing.T) {
	for host, want := range map[string]string{"LAPTOP-7": "LAPTOP-7", "": "", strings.Repeat("x", 300): strings.Repeat("x", maxClientName)} {
		var port, connect, name, version string
		var vendor microsoft.MSRASVendor
		s := serve(t, func(p *radius.Packet, _ []byte) []byte {
			port, connect = rfc2869.NASPortID_GetString(p), rfc2869.ConnectInfo_GetString(p)
			name, version, vendor = microsoft.MSRASClientName_GetString(p), microsoft.MSRASVersion_GetString(p), microsoft.MSRASVendor_Get(p)
			return signed(p, radius.CodeAccessAccept, func(*radius.Packet) {})
		})
		r := papRequest()
		r.Call.Port, r.Call.ClientName = 7, host
		if _, err := client(t, Config{}, s).Authenticate(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		if port != "l2tp-7" || connect != "L2TP/IPsec" || strings.TrimRight(name, "\x00") != want || strings.TrimRight(version, "\x00") != "adit" || vendor != 311 {
			t.Errorf("%.20q: %q, %q, %.20q, %q, %d", host, port, connect, name, version, vendor)
		}
	}
}

// Of what describes a call each attribute is there once, in requests and in records: RFC 2865,
// section 5.44 and RFC 2869, section 5.19 allow no second NAS-Port-Id, and a database has one column.
func TestACallIsDescribedOnce(t *testing.T) {
	call := papRequest().Call
	call.Port, call.PortID, call.Info, call.ClientName, call.Multi, call.Links = 7, "l2tp-7", "L2TP/IPsec AES-CBC-256/SHA1-96", "LAPTOP", "m", 2
	c := client(t, Config{}, serve(t, nil))
	r := papRequest()
	r.Call = call
	request, err := c.accessRequest([]byte("secret"), r)
	if err != nil {
		t.Fatal(err)
	}
	record, err := c.accountingRequest([]byte("secret"), &auth.Record{Status: auth.Stop, User: "alice", Call: call, Address: netip.MustParseAddr("10.83.0.2")})
	if err != nil {
		t.Fatal(err)
	}
	for what, p := range map[string]*radius.Packet{"Access-Request": request, "Accounting-Request": record} {
		seen := map[string]int{}
		for _, a := range p.Attributes {
			name := fmt.Sprint(a.Type)
			if a.Type == rfc2865.VendorSpecific_Type {
				name += fmt.Sprintf(" %x", []byte(a.Attribute)[:5])
			}
			if seen[name]++; seen[name] > 1 {
				t.Errorf("%s: the attribute %s is there %d times", what, name, seen[name])
			}
		}
		if got := rfc2869.ConnectInfo_GetString(p); got != call.Info {
			t.Errorf("%s: Connect-Info is %q", what, got)
		}
	}
}
