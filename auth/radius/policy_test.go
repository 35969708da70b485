package radius

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
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
		"the last of Cisco's rates":   {[]sent{{9, 1, "lcp:interface-config#1=rate-limit input 10000000 80000 80000 conform-action transmit exceed-action drop"}, {9, 1, "ip:sub-qos-policy-in=1M"}}, auth.Grant{Limits: auth.Limits{Rates: limit.Rates{In: 1e6}}}},
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

// What describes a call, in requests and in records, byte for byte: policies of NPS match on it.
func TestWhatPoliciesMatchOn(t *testing.T) {
	call := auth.Call{
		SessionID: "0123", Port: 7, PortID: "l2tp-7", Info: "L2TP/IPsec AES-CBC-256/SHA1-96", ClientName: "laptop-7",
		RASName: "MSRAS-0-LAPTOP-7", RASVersion: "MSRASV5.20",
		Remote: netip.MustParseAddrPort("198.51.100.7:4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500"),
	}
	six := call
	six.Remote, six.Local = netip.MustParseAddrPort("[2001:db8::7]:4500"), netip.MustParseAddrPort("[2001:db8::1]:4500")
	other := call
	other.RASName, other.RASVersion, other.PortID, other.Info = "", "", "", ""
	bad := call
	bad.RASName, bad.RASVersion, bad.ClientName = "a \x00ü\"b/"+strings.Repeat("x", 300), "", strings.Repeat("y", 300)
	const number = "\x00\x00\x00"
	always := map[string]string{
		"5": number + "\x07", "61": number + "\x05", "6": number + "\x02", "7": number + "\x01", "44": "0123", "32": "adit",
		"64": "\x00" + "\x00\x00\x03", "311/9": "\x00\x00\x01\x37", "311/18": "adit",
	}
	for name, tt := range map[string]struct {
		call auth.Call
		want map[string]string // value by number, or by vendor and number; a tag of 0 is none (RFC 2868, section 3)
	}{
		"of Windows": {call, map[string]string{
			"87": "l2tp-7", "77": "L2TP/IPsec AES-CBC-256/SHA1-96", "31": "198.51.100.7", "30": "192.0.2.1", "4": "\xc0\x00\x02\x01",
			"65": number + "\x01", "66": "\x00198.51.100.7", "67": "\x00192.0.2.1", "90": "\x00laptop-7",
			"311/34": "MSRAS-0-LAPTOP-7\x00", "311/35": "MSRASV5.20\x00",
		}},
		"over IPv6": {six, map[string]string{
			"31": "2001:db8::7", "30": "2001:db8::1", "95": "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01", "4": "",
			"65": number + "\x02", "66": "\x002001:db8::7", "67": "\x002001:db8::1",
		}},
		"of another client": {other, map[string]string{"87": "l2tp-7", "77": "L2TP/IPsec", "311/34": "laptop-7\x00", "311/35": ""}},
		"of a hostile one":  {bad, map[string]string{"311/34": "ab" + strings.Repeat("x", 30) + "\x00", "311/35": "", "90": "\x00" + strings.Repeat("y", maxClientName)}},
	} {
		c := client(t, Config{}, serve(t, nil))
		r := papRequest()
		r.Call = tt.call
		request, err := c.accessRequest([]byte("secret"), r)
		if err != nil {
			t.Fatal(err)
		}
		record, err := c.accountingRequest([]byte("secret"), &auth.Record{Status: auth.Start, User: "alice", Call: tt.call, LogonDomain: []byte("\x00CORP")})
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(tt.want, always)
		for what, p := range map[string]*radius.Packet{"Access-Request": request, "Accounting-Request": record} {
			tt.want["311/10"] = map[string]string{"Accounting-Request": "\x00CORP"}[what] // RFC 2548, section 2.1.4
			got := values(p)
			for number, want := range tt.want {
				if got[number] != want {
					t.Errorf("%s, %s: %s is %q, want %q", name, what, number, got[number], want)
				}
			}
		}
	}
}

// values are a packet's attributes, by number, or by vendor and number.
func values(p *radius.Packet) map[string]string {
	all := map[string]string{}
	for _, a := range p.Attributes {
		if v := a.Attribute; a.Type == rfc2865.VendorSpecific_Type {
			all[fmt.Sprintf("%d/%d", binary.BigEndian.Uint32(v), v[4])] = string(v[6:])
		} else {
			all[fmt.Sprint(int(a.Type))] = string(v)
		}
	}
	return all
}

// A server's MS-CHAP-Domain comes back in records, as the server has sent it.
func TestTheDomainOfALogonIsKept(t *testing.T) {
	r, err := answered(t, radius.CodeAccessAccept, func(r *radius.Packet) { _ = microsoft.MSCHAPDomain_Add(r, []byte("\x07CORP")) })
	if err != nil || string(r.Grant.LogonDomain) != "\x07CORP" {
		t.Errorf("%q, %v", r.Grant.LogonDomain, err)
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
