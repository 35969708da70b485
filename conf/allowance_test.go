package conf

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/pool"
)

const allowances = `[ipsec]
psk = "correct horse battery staple"
[network]
pool = ["10.83.0.0/16"]
pool6 = ["2001:db8:1::/48"]
reserve = ["10.83.7.0/24", "10.83.9.1-10.83.9.20"]
[[pool]]
name = "staff"
addresses = ["10.84.0.0/24"]
addresses6 = ["2001:db8:2::/48"]
delegate6 = "2001:db8:f000::/40"
[[filter]]
name = "web"
rules = ["permit in tcp from any to any 80,443", "deny out ip from 10.0.0.0/8 to any"]
[[group]]
name = "staff"
pool = "staff"
upload = "10 Mbit/s"
download = "50M"
sessions = 2
session_timeout = "8h"
idle_timeout = "30m"
hours = ["Mo-Fr 07:00-19:00"]
quota_day = "5 GB"
quota_month = "100GiB"
quota_filter = "web"
filter = "web"
[[user]]
name = "alice"
password = "p"
group = "staff"
download = "1G"
`

func TestGroupsStandOnTheirOwn(t *testing.T) {
	c, err := load(t, allowances)
	if err != nil {
		t.Fatal(err)
	}
	g, u := c.Groups[0], c.Users[0]
	if g.Upload != 10e6 || g.Download != 50e6 || u.Download != 1e9 || g.QuotaDay != 5e9 || g.QuotaMonth != 100<<30 || g.Sessions != 2 || len(g.Hours) != 1 || len(c.Rules(g.Filter)) != 2 {
		t.Errorf("%+v, %+v", g, u)
	}
	p := c.Plan()
	four, links, routers := p.All()
	for n, want := range map[string]bool{"10.84.0.9/32": true, "10.83.0.9/32": true, "10.85.0.0/16": false} {
		if four.Overlaps(netip.MustParsePrefix(n)) != want {
			t.Errorf("IPv4 overlaps %s: %v", n, !want)
		}
	}
	if !links.Overlaps(netip.MustParsePrefix("2001:db8:2::/64")) || !routers.Overlaps(netip.MustParsePrefix("2001:db8:f000::/64")) || p.Pool6.Overlaps(netip.MustParsePrefix("2001:db8:2::/64")) {
		t.Error("IPv6 of the pool is not where it belongs")
	}
	for wish, why := range map[string]string{"10.84.0.1": "server's own", "10.84.0.0": "of all of the network", "10.84.0.77": ""} {
		refused := p.Judge(pool.Wish{Address: netip.MustParseAddr(wish)})
		if why == "" && len(refused) > 0 || why != "" && (len(refused) != 1 || !strings.Contains(refused[0].Why, why)) {
			t.Errorf("%s: %v", wish, refused)
		}
	}
	if r := c.Network.Reserved(); len(r) != 2 || r[0].Last != netip.MustParseAddr("10.83.7.255") || r[1].First != netip.MustParseAddr("10.83.9.1") {
		t.Errorf("reserved %v", r)
	}
}

func TestAllowancesThatAreWrong(t *testing.T) {
	replace := func(old, text string) string { return strings.Replace(allowances, old, text, 1) }
	for name, x := range map[string]struct{ text, want string }{
		"a pool that is not there":   {replace(`pool = "staff"`, `pool = "stuff"`), `group[0].pool: there is no [[pool]] with the name "stuff": there are "staff"`},
		"a filter that is not there": {replace(`filter = "web"`+"\n[[user]]", `filter = "wob"`+"\n[[user]]"), `group[0].filter: there is no [[filter]] with the name "wob": there are "web"`},
		"a garden without a quota":   {replace("quota_day = \"5 GB\"\nquota_month = \"100GiB\"\n", ""), "group[0].quota_filter: does nothing without quota_day or quota_month"},
		"a rate of nothing":          {replace(`"50M"`, `"50 MB"`), `group[0].download: "50 MB" is not a rate such as "10 Mbit/s"`},
		"a rule of nothing":          {replace(`"deny out ip from 10.0.0.0/8 to any"`, `"deny out ip"`), `filter[0].rules[1]: "deny out ip" is not a rule such as`},
		"no rules":                   {replace(`rules = ["permit in tcp from any to any 80,443", "deny out ip from 10.0.0.0/8 to any"]`, "rules = []"), "filter[0].rules: missing"},
		"a filter and a group":       {replace(`name = "web"`, `name = "staff"`), `filter[0].name: "staff" is a [[group]], too`},
		"overlapping network.pool":   {replace(`"10.84.0.0/24"`, `"10.83.9.0/24"`), `pool[0].addresses[0]: "10.83.9.0/24" overlaps "10.83.0.0/16", of which others get addresses`},
		"a range in mode tun":        {replace(`"10.84.0.0/24"`, `"10.84.0.2-10.84.0.9"`), `pool[0].addresses[0]: a range needs mode = "tap"`},
		"another kind of IPv6":       {replace(`"2001:db8:2::/48"`, `"2001:db8:2::/112"`), "pool[0].addresses6[0]"},
		"overlapping IPv6":           {replace(`"2001:db8:2::/48"`, `"2001:db8:1:8000::/49"`), "pool[0].addresses6[0]: 2001:db8:1:8000::/49 overlaps 2001:db8:1::/48"},
		"an empty pool":              {replace("addresses = [\"10.84.0.0/24\"]\naddresses6 = [\"2001:db8:2::/48\"]\ndelegate6 = \"2001:db8:f000::/40\"\n", ""), "pool[0].addresses: missing"},
		"a name with a space":        {replace(`name = "staff"`+"\naddresses", `name = "the staff"`+"\naddresses"), `pool[0].name: "the staff" has other characters`},
		"IPv6 that nobody has":       {replace("pool6 = [\"2001:db8:1::/48\"]\n", ""), "pool[0].addresses6: does nothing without network.pool6"},
		"all reserved":               {replace(`"10.83.7.0/24", `, `"0.0.0.0/0", `), "network.reserve[0]"},
		"less than none":             {replace("sessions = 2", "sessions = -2"), "group[0].sessions: -2 is no number of sessions"},
		"a short time":               {replace(`"30m"`, `"30ms"`), "group[0].idle_timeout: 30ms is shorter than a second"},
	} {
		_, err := load(t, x.text)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
}
