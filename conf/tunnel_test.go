package conf

import (
	"strings"
	"testing"
	"time"
)

// tunnels is a configuration with these lines below [[tunnel]]; "" begins another one.
func tunnels(lines ...string) string {
	text := "[ipsec]\npsk = '" + goodPSK + "'\n[[tunnel]]\n"
	for _, l := range lines {
		if l == "" {
			l = "[[tunnel]]"
		}
		text += l + "\n"
	}
	return text
}

func TestATunnelIsFourLines(t *testing.T) {
	c, err := load(t, tunnels(`name = "gre1"`, `mode = "gre"`, `remote = "192.0.2.7"`, `key = 42`))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Tunnels[0]
	if got.Dial != DialAlways || got.Clear != ClearDrop || got.DeadPeer != 30*time.Second || got.Key != (GREKey{true, 42}) || got.Mode.Protocol() != 47 {
		t.Errorf("%+v", got)
	}
}

func TestKeysOfGREAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]GREKey{
		`42`: {true, 42}, `"42"`: {true, 42}, `0`: {true, 0}, `4294967295`: {true, 1<<32 - 1}, `"10.0.0.1"`: {true, 10<<24 + 1}, `""`: {},
	} {
		c, err := load(t, tunnels(`name = "t"`, `mode = "gre"`, `remote = "192.0.2.7"`, `key = `+text))
		if err != nil || c.Tunnels[0].Key != want {
			t.Errorf("%s: %+v, %v", text, c.Tunnels[0].Key, err)
			continue
		}
		var again GREKey
		if err := again.UnmarshalText([]byte(want.String())); err != nil || again != want {
			t.Errorf("%q is read as %+v: %v", want, again, err)
		}
	}
}

func TestTunnelsThatCannotWorkAreRefused(t *testing.T) {
	with := func(lines ...string) []string {
		return append([]string{`name = "t"`, `mode = "gre"`, `remote = "192.0.2.7"`}, lines...)
	}
	of := func(mode string, lines ...string) []string {
		return append([]string{`name = "t"`, `mode = "` + mode + `"`, `remote = "192.0.2.7"`}, lines...)
	}
	two := func(lines ...string) []string {
		return append(with(`address = "172.16.0.1"`, `peer_address = "172.16.0.2"`, `routes = ["10.2.0.0/16"]`, ""), lines...)
	}
	for name, x := range map[string]struct {
		lines []string
		want  string
	}{
		"no name":                  {[]string{`mode = "gre"`, `remote = "192.0.2.7"`}, `tunnel[0].name: missing`},
		"a long name":              {with(`name = "abcdefghijklmnop"`)[1:], `"abcdefghijklmnop" is longer than 15 bytes`},
		"dots alone":               {with(`name = ".."`)[1:], `other characters than letters`},
		"the common device":        {with(`name = "adit0"`)[1:], `tunnel[0].name: "adit0" is network.device`},
		"a user's device":          {with(`name = "adit0-t"`)[1:], `tunnel[0].name: "adit0-t" begins with "adit0-"`},
		"a link's device":          {with(`name = "adit-a"`, `[[link]]`, `name = "a"`, `remote = ["192.0.2.9"]`, `user = "u"`, `password = "p"`)[1:], `tunnel[0].name: "adit-a" is the link "a", or its device`},
		"no mode":                  {[]string{`name = "t"`, `remote = "192.0.2.7"`}, `tunnel[0].mode: missing: gre, ipip or sit`},
		"a mode of others":         {of("vxlan"), `tunnel[0].mode: "vxlan" is not one of gre, ipip, sit, ip6gre, ipip6, ip6ip6`},
		"a mode of IPv6":           {of("ip6ip6"), `tunnel[0].mode: ip6ip6 is in IPv6, and remote is 192.0.2.7: write sit`},
		"a key of IPIP":            {of("ipip", `key = 1`), `tunnel[0].key: is GRE's, and mode is ipip`},
		"a key of 0 of sit":        {of("sit", `key = 0`), `tunnel[0].key: is GRE's, and mode is sit`},
		"a checksum of IPIP":       {of("ipip", `checksum = true`), `tunnel[0].checksum: is GRE's`},
		"numbers of sit":           {of("sit", `sequence = true`), `tunnel[0].sequence: is GRE's`},
		"a large key":              {with(`key = 4294967296`), `tunnel[0].key: "4294967296" is no key of GRE`},
		"a negative key":           {with(`key = -1`), `tunnel[0].key: "-1" is no key of GRE`},
		"a word as a key":          {with(`key = "secret"`), `tunnel[0].key: "secret" is no key of GRE`},
		"a flag as a key":          {with(`key = true`), `tunnel[0].key: must be a number, not true or false`},
		"a small MTU":              {with(`mtu = 500`), `tunnel[0].mtu: must be from 576 to 1400`},
		"a small MTU of IPv6":      {of("sit", `mtu = 1200`), `tunnel[0].mtu: must be from 1280 to 1400`},
		"a large MTU":              {with(`mtu = 1500`), `tunnel[0].mtu: must be from 576 to 1400`},
		"on demand":                {with(`dial = "demand"`), `tunnel[0].dial: "demand" is for links`},
		"nobody to dial":           {[]string{`name = "t"`, `mode = "gre"`}, `tunnel[0].remote: missing: name the other end`},
		"anybody":                  {[]string{`name = "t"`, `mode = "gre"`, `dial = "never"`}, `tunnel[0].psk: missing: remote is no address, and every client has ipsec.psk`},
		"a name, everybody's key":  {[]string{`name = "t"`, `mode = "gre"`, `remote = "gw.example.com"`}, `tunnel[0].psk: missing: remote is no address`},
		"a weak key":               {with(`psk = "short"`), `tunnel[0].psk: the pre-shared key is shorter`},
		"everybody's key":          {with(`psk = "` + goodPSK + `"`), `tunnel[0].psk: is the key of ipsec.psk, too`},
		"a certificate of nobody":  {with(`certificate = true`), `tunnel[0].certificate: needs ipsec.certificate`},
		"a name in no certificate": {with(`peer_id = "gw"`), `tunnel[0].peer_id: does nothing without certificate`},
		"a hasty dead peer":        {with(`dead_peer_timeout = "1s"`), `tunnel[0].dead_peer_timeout: must be from 20s`},
		"half an address":          {with(`address = "172.16.0.1"`), `tunnel[0].peer_address: missing: address is there`},
		"the other half":           {with(`peer_address6 = "fe80::2"`), `tunnel[0].address6: missing: peer_address6 is there`},
		"one address":              {with(`address = "172.16.0.1"`, `peer_address = "172.16.0.1"`), `tunnel[0].peer_address: "172.16.0.1" is this end's address, too`},
		"the remote inside":        {with(`address = "172.16.0.1"`, `peer_address = "192.0.2.7"`), `tunnel[0].peer_address: "192.0.2.7" is the tunnel's remote`},
		"a client's address":       {with(`address = "10.83.0.9"`, `peer_address = "172.16.0.1"`), `tunnel[0].address: "10.83.0.9" is in 10.83.0.0/16, which is network.pool`},
		"IPv6 in IPIP":             {of("ipip", `address6 = "fe80::1"`, `peer_address6 = "fe80::2"`), `tunnel[0].address6: cannot be inside: mode ipip`},
		"IPv4 in sit":              {of("sit", `address = "172.16.0.1"`, `peer_address = "172.16.0.2"`), `tunnel[0].address: cannot be inside: mode sit`},
		"a route of IPv6 in IPIP":  {of("ipip", `routes = ["2001:db8:2::/48"]`), `tunnel[0].routes[0]: "2001:db8:2::/48" cannot be inside`},
		"a route into itself":      {with(`routes = ["10.2.0.0/16", "192.0.0.0/16"]`), `tunnel[0].routes[1]: "192.0.0.0/16" leads the tunnel's own remote, 192.0.2.7, into the tunnel`},
		"everything into itself":   {with(`routes = ["0.0.0.0/0"]`), `tunnel[0].routes[0]: "0.0.0.0/0" leads the tunnel's own remote`},
		"bits behind the prefix":   {with(`routes = ["10.2.3.4/16"]`), `tunnel[0].routes[0]: "10.2.3.4/16" has bits behind the prefix: write 10.2.0.0/16`},
		"a route twice":            {with(`routes = ["10.2.0.0/16", "10.2.0.0/16"]`), `tunnel[0].routes[1]: "10.2.0.0/16" is there twice`},
		"clients' network":         {with(`routes = ["10.83.7.0/24"]`), `tunnel[0].routes[0]: "10.83.7.0/24" is in 10.83.0.0/16, which is network.pool`},
		"a metric":                 {with(`metric = -1`), `tunnel[0].metric: must be from 0`},
		"sources of nothing":       {with(`source_check = true`), `tunnel[0].source_check: needs routes`},
		"a clear word":             {with(`clear = "perhaps"`), `tunnel[0].clear: "perhaps" is not one of drop, allow`},
		"the name twice":           {two(`name = "T"`, `mode = "gre"`, `remote = "192.0.2.8"`), `tunnel[1].name: "T" is there twice`},
		"one remote":               {two(`name = "u"`, `mode = "ip6gre"`, `remote = "192.0.2.7"`), `tunnel[1].remote: "192.0.2.7" is that of the tunnel "t", too, with the same mode and key`},
		"one remote, one psk":      {two(`name = "u"`, `mode = "ipip"`, `remote = "192.0.2.7"`), `tunnel[1].psk: missing: the tunnel "t" leads to 192.0.2.7, too`},
		"one network":              {two(`name = "u"`, `mode = "gre"`, `remote = "192.0.2.8"`, `routes = ["10.2.0.0/16"]`), `tunnel[1].routes[0]: "10.2.0.0/16" leads to the tunnel "t", too, with the same metric`},
		"one network with a link":  {with(`routes = ["10.2.0.0/16"]`, `[[link]]`, `name = "a"`, `remote = ["192.0.2.9"]`, `user = "u"`, `password = "p"`, `routes = ["10.2.0.0/16"]`), `tunnel[0].routes[0]: "10.2.0.0/16" leads to the link "a", too`},
		"one peer inside":          {two(`name = "u"`, `mode = "gre"`, `remote = "192.0.2.8"`, `address = "172.16.0.9"`, `peer_address = "172.16.0.2"`), `tunnel[1].peer_address: "172.16.0.2" is that of the tunnel "t", too`},
		"nested":                   {two(`name = "u"`, `mode = "gre"`, `remote = "10.2.0.7"`), `tunnel[1].remote: "10.2.0.7" is reached through the tunnel "t": tunnels inside tunnels are not supported`},
		"nested in an address":     {two(`name = "u"`, `mode = "gre"`, `remote = "172.16.0.2"`), `tunnel[1].remote: "172.16.0.2" is reached through the tunnel "t"`},
		"nested in a link":         {with(`[[link]]`, `name = "a"`, `remote = ["192.0.9.9"]`, `user = "u"`, `password = "p"`, `routes = ["192.0.2.0/24"]`), `tunnel[0].remote: "192.0.2.7" is reached through the link "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tunnels(x.lines...))
			if err == nil {
				t.Error("it was accepted")
			} else if !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "adit.toml:") {
				t.Errorf("got\n%v\nwant\n%s", err, x.want)
			}
		})
	}
}

func TestTunnelsThatDifferInOneThingAreFine(t *testing.T) {
	const own = `psk = "another key of good length"`
	for name, lines := range map[string][]string{
		"another remote":        {`mode = "gre"`, `remote = "192.0.2.8"`},
		"another key":           {`mode = "gre"`, `remote = "192.0.2.7"`, `key = 1`, own},
		"another mode":          {`mode = "ipip"`, `remote = "192.0.2.7"`, own},
		"another metric":        {`mode = "gre"`, `remote = "192.0.2.8"`, `routes = ["10.2.0.0/16"]`, `metric = 10`},
		"a network of its":      {`mode = "gre"`, `remote = "192.0.2.8"`, `routes = ["10.2.7.0/24"]`},
		"the same neighbour":    {`mode = "gre"`, `remote = "192.0.2.8"`, `address6 = "fe80::1"`, `peer_address6 = "fe80::2"`},
		"IPv6 outside":          {`mode = "ip6gre"`, `remote = "2001:db8::8"`},
		"one without an end":    {`mode = "gre"`, `dial = "never"`, own},
		"one with a name's end": {`mode = "sit"`, `remote = "gw.example.com"`, own},
	} {
		t.Run(name, func(t *testing.T) {
			first := []string{`name = "t"`, `mode = "gre"`, `remote = "192.0.2.7"`, `psk = "a key of good length that is its own"`, `routes = ["10.2.0.0/16"]`, `address6 = "fe80::1"`, `peer_address6 = "fe80::2"`, "", `name = "u"`}
			if _, err := load(t, tunnels(append(first, lines...)...)); err != nil {
				t.Error(err)
			}
		})
	}
}
