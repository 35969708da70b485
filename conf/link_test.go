package conf

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// secretIn writes a secret file.
func secretIn(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A site is ten lines, and needs no [[user]].
func TestASiteIsTenLines(t *testing.T) {
	site := `[ipsec]
psk_file = '` + secretIn(t, goodPSK) + `'
[[link]]
name = "branch"
remote = ["branch.example.com"]
user = "head"
password_file = '` + secretIn(t, "what head says") + `'
peer_user = "branch"
peer_password_file = '` + secretIn(t, "what branch says") + `'
routes = ["192.168.2.0/24"]`
	if n := strings.Count(site, "\n") + 1; n > 10 {
		t.Errorf("%d lines", n)
	}
	c, err := load(t, site)
	if err != nil {
		t.Fatal(err)
	}
	l := c.Links[0]
	if l.Device() != "adit-branch" || l.Remote[0].Name != "branch.example.com" || !l.Password.Equal(secret.String("what head says")) ||
		!l.PeerPassword.Equal(secret.String("what branch says")) || l.Routes[0] != netip.MustParsePrefix("192.168.2.0/24") {
		t.Errorf("%+v", l)
	}
	if l.Dial != DialAlways || l.WhenDown != DownBlackhole || l.IdleTimeout != 0 || l.DeadPeer != 4*time.Second {
		t.Errorf("defaults: %v %v %v %v", l.Dial, l.WhenDown, l.IdleTimeout, l.DeadPeer)
	}
}

func TestALinkOnDemandHoldsPacketsAndHangsUp(t *testing.T) {
	c, err := load(t, links(`name = "a"`, `remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`, `dial = "demand"`, `routes = ["10.2.0.0/16"]`))
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Links[0]; l.Dial != DialDemand || l.WhenDown != DownHold || l.IdleTimeout != 5*time.Minute {
		t.Errorf("%+v", l)
	}
}

// links is a configuration with these lines in a [[link]]; an empty line begins the next.
func links(lines ...string) string {
	text := "[ipsec]\npsk = \"" + goodPSK + "\"\n[[link]]\n"
	for _, line := range lines {
		if line == "" {
			line = "[[link]]"
		}
		text += line + "\n"
	}
	return text
}

func TestWhatIsWrongWithLinksIsNamed(t *testing.T) {
	good := []string{`name = "a"`, `remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`}
	with := func(lines ...string) []string { return append(append([]string(nil), good...), lines...) }
	two := func(lines ...string) []string {
		return append(with(`routes = ["10.2.0.0/16"]`, `peer_user = "q"`, `peer_password = "p"`, `peer_address = "10.9.0.2"`, ""), lines...)
	}
	for name, x := range map[string]struct {
		lines []string
		want  string
	}{
		"no name":                      {[]string{`remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`}, `link[0].name: missing`},
		"a long name":                  {[]string{`name = "abcdefghijk"`, `remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`}, `"abcdefghijk" is longer than 10 bytes`},
		"a slash in the name":          {[]string{`name = "a/b"`, `remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`}, `other characters than letters`},
		"nobody to dial":               {[]string{`name = "a"`, `user = "u"`, `password = "p"`}, `link[0].remote: missing`},
		"no name to show":              {[]string{`name = "a"`, `remote = ["192.0.2.7"]`}, `link[0].user: missing`},
		"no password":                  {[]string{`name = "a"`, `remote = ["192.0.2.7"]`, `user = "u"`}, `link[0].password: missing: user has one`},
		"a password of nobody":         {with(`peer_password = "p"`), `link[0].peer_password: does nothing without peer_user`},
		"never, and no caller":         {[]string{`name = "a"`, `dial = "never"`}, `link[0].peer_user: missing`},
		"a remote that is no host":     {[]string{`name = "a"`, `remote = ["192.0.2.7:500"]`, `user = "u"`, `password = "p"`}, `link[0].remote[0]: "192.0.2.7:500" is not a name`},
		"a remote twice":               {[]string{`name = "a"`, `remote = ["192.0.2.7", "192.0.2.7"]`, `user = "u"`, `password = "p"`}, `link[0].remote[1]: "192.0.2.7" is there twice`},
		"how to dial":                  {with(`dial = "sometimes"`), `link[0].dial: "sometimes" is not one of always, demand, never`},
		"what when it is down":         {with(`when_down = "burn"`), `link[0].when_down: "burn" is not one of hold, blackhole, withdraw`},
		"demand that nobody hears":     {with(`dial = "demand"`, `routes = ["10.2.0.0/16"]`, `when_down = "withdraw"`), `link[0].when_down: must be "hold"`},
		"demand without routes":        {with(`dial = "demand"`), `link[0].routes: missing`},
		"hours":                        {with(`hours = ["Mo-Fr 7-19"]`), `link[0].hours[0]: "Mo-Fr 7-19" is not hours`},
		"a short idle time":            {with(`dial = "demand"`, `routes = ["10.2.0.0/16"]`, `idle_timeout = "1s"`), `link[0].idle_timeout: must be 10s or more`},
		"an idle time of always":       {with(`idle_timeout = "1m"`), `link[0].idle_timeout: does nothing with dial = "always"`},
		"a hasty dead peer":            {with(`dead_peer_timeout = "1s"`), `link[0].dead_peer_timeout: must be from 4s`},
		"a metric":                     {with(`metric = -1`), `link[0].metric: must be from 0`},
		"a route into itself":          {with(`routes = ["192.0.2.0/24"]`), `link[0].routes[0]: "192.0.2.0/24" leads the link's own remote, 192.0.2.7, into the link`},
		"everything into itself":       {with(`routes = ["10.2.0.0/16", "0.0.0.0/0"]`), `link[0].routes[1]: "0.0.0.0/0" leads the link's own remote`},
		"bits behind the prefix":       {with(`routes = ["10.2.3.4/16"]`), `link[0].routes[0]: "10.2.3.4/16" has bits behind the prefix: write 10.2.0.0/16`},
		"a route twice":                {with(`routes = ["10.2.0.0/16", "10.2.0.0/16"]`), `link[0].routes[1]: "10.2.0.0/16" is there twice`},
		"IPv6 that is off":             {with(`routes = ["2001:db8:2::/48"]`), `link[0].routes[0]: "2001:db8:2::/48" is IPv6: set ipv6 = true`},
		"clients' own network":         {with(`routes = ["10.83.7.0/24"]`), `link[0].routes[0]: "10.83.7.0/24" is in 10.83.0.0/16, which is network.pool`},
		"a source check of everything": {with(`source_check = true`), `link[0].source_check: needs routes`},
		"an address":                   {with(`address = "fe80::1"`), `link[0].address: "fe80::1" is neither an IPv4 address nor "peer"`},
		"the peer's address":           {with(`address = "10.9.0.1"`, `peer_address = "10.9.0.1"`), `link[0].peer_address: "10.9.0.1" is this end's address, too`},
		"the server's address":         {with(`peer_address = "10.83.0.1"`), `link[0].peer_address: "10.83.0.1" is this server's own address`},
		"the remote inside":            {with(`peer_address = "192.0.2.7"`), `link[0].peer_address: "192.0.2.7" is the link's remote`},
		"a weak key":                   {with(`psk = "short"`), `link[0].psk: the pre-shared key is shorter`},
		"the key of everybody":         {with(`psk = "` + goodPSK + `"`), `link[0].psk: is the key of ipsec.psk, too`},
		"a certificate that is none":   {with(`certificate = true`), `link[0].certificate: needs ipsec.certificate`},
		"a name in no certificate":     {with(`peer_id = "head"`), `link[0].peer_id: does nothing without certificate`},
		"a caller that is a user":      {with(`peer_user = "alice"`, `peer_password = "p"`, `[[user]]`, `name = "alice"`, `password = "p"`), `link[0].peer_user: "alice" is a [[user]], too`},
		"one name of two ends":         {with(`peer_user = "u"`, `peer_password = "p"`), `link[0].peer_user: "u" is user, too`},
		"a user's device":              {with(`[network]`, `device = "adit"`, `[[user]]`, `name = "alice"`, `password = "p"`, `interface = true`), `link[0].name: the link's device would be adit-a, which may be a user's`},
		"the common device":            {with(`[network]`, `device = "adit-a"`), `link[0].name: the link's device would be adit-a, which is network.device`},
		"who is to authenticate":       {with(`peer_auth = "perhaps"`), `link[0].peer_auth: "perhaps" is not one of ask, required, no`},
		"nobody to authenticate":       {with(`peer_auth = "required"`), `link[0].peer_auth: needs peer_user`},
		"authenticated by calling":     {[]string{`name = "a"`, `dial = "never"`, `peer_user = "q"`, `peer_password = "p"`, `peer_auth = "ask"`}, `link[0].peer_auth: does nothing with dial = "never"`},
		"one password of two ends":     {with(`peer_user = "q"`, `peer_password = "p"`, `[auth]`, `methods = ["mschapv2", "chap"]`), `link[0].peer_password: is password, too: with "chap" in auth.methods`},
		"the name twice":               {two(`name = "A"`, `remote = ["192.0.2.8"]`, `user = "u"`, `password = "p"`), `link[1].name: "A" is there twice`},
		"the caller twice":             {two(`name = "b"`, `dial = "never"`, `peer_user = "q"`, `peer_password = "p"`), `link[1].peer_user: is that of the link "a", too`},
		"one remote, one name":         {two(`name = "b"`, `remote = ["192.0.2.9", "192.0.2.7"]`, `user = "u"`, `password = "p"`), `link[1].remote[1]: "192.0.2.7" is dialled by the link "a", too`},
		"one remote, two names":        {two(`name = "b"`, `remote = ["192.0.2.7"]`, `user = "v"`, `password = "p"`), `give the link "a" the routes of both`},
		"one network":                  {two(`name = "b"`, `remote = ["192.0.2.8"]`, `user = "u"`, `password = "p"`, `routes = ["10.2.0.0/16"]`), `link[1].routes[0]: "10.2.0.0/16" leads to the link "a", too, with the same metric`},
		"one address":                  {two(`name = "b"`, `remote = ["192.0.2.8"]`, `user = "u"`, `password = "p"`, `peer_address = "10.9.0.2"`), `link[1].peer_address: "10.9.0.2" is that of the link "a", too`},
		"a loop": {[]string{`name = "a"`, `remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`, `routes = ["198.51.100.0/24"]`, "",
			`name = "b"`, `remote = ["198.51.100.7"]`, `user = "u"`, `password = "p"`, `routes = ["192.0.2.0/24"]`}, `link[0].remote: is reached through the link "b", which is reached through the link "a": none of them can be dialled`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, links(x.lines...)); err == nil {
				t.Error("it was accepted")
			} else if !strings.Contains(err.Error(), x.want) {
				t.Errorf("got\n%v\nwant\n%s", err, x.want)
			}
		})
	}
}

func TestLinksThatDifferInOneThingAreFine(t *testing.T) {
	for name, lines := range map[string][]string{
		"one password":           {`remote = ["192.0.2.8"]`, `user = "u"`, `peer_user = "q"`, `peer_password = "p"`, `peer_auth = "required"`},
		"another metric":         {`routes = ["10.2.0.0/16"]`, `remote = ["192.0.2.8"]`, `user = "u"`, `metric = 10`},
		"a network of a network": {`routes = ["10.2.7.0/24"]`, `remote = ["192.0.2.8"]`, `user = "u"`},
		"a remote that calls":    {`routes = ["10.3.0.0/16"]`, `remote = ["192.0.2.7"]`, `dial = "never"`, `user = "v"`, `peer_user = "q"`, `peer_password = "q"`},
		"larger than the pool":   {`routes = ["10.0.0.0/8"]`, `remote = ["192.0.2.8"]`, `user = "u"`},
		"reached by the other":   {`routes = ["10.3.0.0/16"]`, `remote = ["10.2.0.7"]`, `user = "u"`},
	} {
		t.Run(name, func(t *testing.T) {
			first := []string{`name = "a"`, `remote = ["192.0.2.7"]`, `user = "u"`, `password = "p"`, `routes = ["10.2.0.0/16"]`, ""}
			if _, err := load(t, links(append(append(first, `name = "b"`, `password = "p"`), lines...)...)); err != nil {
				t.Error(err)
			}
		})
	}
}
