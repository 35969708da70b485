//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/real/lab"
)

// attributes is what an Access-Accept of FreeRADIUS has, and what comes of it for pppd, its link
// and this host.
type attributes struct {
	name    string
	reply   string // lines of FreeRADIUS's users
	refused string // what the log says of the user; "": the user comes in
	ignored string // the attributes, by name, that the log says have no effect
	check   func(v *visit)
}

// visit is one session with attributes.
type visit struct {
	*testing.T
	s       *lab.Server
	g       *lab.Guest
	radius  *lab.Radius
	session admin.Session
}

// policy is what the attributes name: pools, groups and filters.
const policy = `
[[pool]]
name = "staff"
addresses = ["10.84.0.0/24"]
addresses6 = ["2001:db8:84::/48"]
delegate6 = "2001:db8:8400::/40"
[[group]]
name = "staff"
pool = "staff"
[[filter]]
name = "web"
rules = ["deny in tcp from any to any 81", "deny out tcp from any 80 to any"]
`

// dictionaries are those that Debian's FreeRADIUS does not have, or not by these names.
const dictionaries = `
VENDOR mpd 12341
BEGIN-VENDOR mpd
ATTRIBUTE mpd-rule 1 string
ATTRIBUTE mpd-pipe 2 string
ATTRIBUTE mpd-queue 3 string
ATTRIBUTE mpd-table 4 string
ATTRIBUTE mpd-table-static 5 string
ATTRIBUTE mpd-filter 6 string
ATTRIBUTE mpd-limit 7 string
END-VENDOR mpd
VENDOR Accel 8072
BEGIN-VENDOR Accel
ATTRIBUTE Accel-VRF-Name 1 string
END-VENDOR Accel
`

// elsewhere says where the attributes are proved that a Linux client or FreeRADIUS's users file
// cannot show.
var elsewhere = map[string]string{
	"EAP-Message":                  "TestEAPPassesThroughToFreeRADIUS",
	"State":                        "TestEAPPassesThroughToFreeRADIUS",
	"Proxy-State":                  "TestUsersConnectThroughRadsecproxy", // a proxy's own
	"Message-Authenticator":        "TestTroubleWithRADIUSIsNamed",
	"MS-CHAP2-Success":             "TestUsersOfFreeRADIUSConnect",
	"MS-CHAP-MPPE-Keys":            "TestUsersOfFreeRADIUSConnect",
	"MS-MPPE-Encryption-Policy":    "TestUsersOfFreeRADIUSConnect", // FreeRADIUS's mschap sends them
	"MS-MPPE-Encryption-Types":     "TestUsersOfFreeRADIUSConnect",
	"MS-MPPE-Send-Key":             "TestUsersOfFreeRADIUSConnect",
	"MS-MPPE-Recv-Key":             "TestUsersOfFreeRADIUSConnect",
	"Acct-Interim-Interval":        "TestSessionsEndWhenRADIUSSays",
	"Port-Limit":                   "TestSessionsEndWhenRADIUSSays",
	"ASA-Simultaneous-Logins":      "TestSessionsEndWhenRADIUSSays",
	"Session-Timeout":              "TestSessionsEndWhenRADIUSSays",
	"Idle-Timeout":                 "TestSessionsEndWhenRADIUSSays",
	"Termination-Action":           "TestSessionsEndWhenRADIUSSays",
	"WISPr-Session-Terminate-Time": "TestSessionsEndWhenRADIUSSays",
}

// Every attribute of the table in docs/radius.md comes from FreeRADIUS to a Linux client, and does
// what the table says.
func TestEveryAttributeHasItsEffect(t *testing.T) {
	var users strings.Builder
	for i, a := range everyAttribute {
		fmt.Fprintf(&users, "u%d Cleartext-Password := %q\n\t%s\n", i, lab.Password, strings.ReplaceAll(strings.TrimSpace(a.reply), "\n", ",\n\t"))
	}
	radius := here.StartRadiusWith(t, lab.RadiusSetup{Users: users.String(), Dictionary: dictionaries})
	c := lab.RadiusConfig()
	c["user"] = policy
	c["network"] = `pool6 = ["2001:db8:1::/48"]
delegate6 = "2001:db8:200::/40"`
	c["radius"] += "\nclass_group = true"
	s := here.Serve(t, c)
	for _, port := range []string{":80", ":81"} {
		accepts(t, lab.AppIP+port)
	}
	g := here.Connect(t, lab.Client{})
	g.Exec(t, `echo +ipv6 >>/etc/ppp/options.xl2tpd; echo ipv6cp-accept-local >>/etc/ppp/options.xl2tpd
echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6`)
	for i, a := range everyAttribute {
		t.Run(a.name, func(t *testing.T) {
			before := len(s.Lines(refusedLine))
			g.As(t, fmt.Sprintf("u%d", i))
			code := g.Redial(t, "vpn")
			said := said(s, fmt.Sprintf("u%d", i))
			for name := range strings.FieldsSeq(a.ignored) {
				if !regexp.MustCompile(`(^|\n|; )` + name + `\b[^;]* (has no effect|does nothing): `).MatchString(said) {
					t.Errorf("the log does not say that %s has no effect:\n%s", name, said)
				}
			}
			if a.ignored == "" && said != "" {
				t.Errorf("the log says %s", said)
			}
			if a.refused != "" {
				if code != lab.NoPPP {
					t.Errorf("dialling ended with %d, want %d", code, lab.NoPPP)
				}
				if line := s.Await(t, before+1, refusedLine); !strings.Contains(fmt.Sprint(line["detail"]), a.refused) {
					t.Errorf("the log says %v", line["detail"])
				}
				return
			}
			if code != lab.Connected {
				t.Fatalf("dialling ended with %d:\n%s", code, g.Log(t, "ppp.log"))
			}
			if a.check != nil {
				a.check(&visit{t, s, g, radius, s.Session(t)})
			}
		})
	}
	g.HangUp(t)
	s.Stop(t)
}

const refusedLine = "user refused; the client shows a wrong user name or password"

// said is what the log says of a user's attributes.
func said(s *lab.Server, user string) string {
	var list []string
	for _, l := range s.Lines("something in the RADIUS server's answer has no effect") {
		if l["name"] == user {
			list = append(list, fmt.Sprint(l["reason"]))
		}
	}
	return strings.Join(list, "\n")
}

// accepts accepts connections of TCP in the server's namespace.
func accepts(t *testing.T, address string) {
	t.Helper()
	ln := lab.Listen(t, here.Server, address)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // the test has ended
			}
			_ = c.Close()
		}
	}()
}

// The table of the docs has nothing that no test sends.
func TestEveryAttributeIsTried(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(here.Root(), "docs", "radius.md"))
	if err != nil {
		t.Fatal(err)
	}
	var sent string
	for _, a := range everyAttribute {
		sent += a.reply + "\n"
	}
	rows := regexp.MustCompile(`(?m)^\| ([A-Za-z0-9-]+) \| \d+( of vendor \d+)? \|`).FindAllStringSubmatch(string(doc), -1)
	if len(rows) < 80 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		if !regexp.MustCompile(`(?im)^`+row[1]+`(:\d)? \+?=`).MatchString(sent) && elsewhere[row[1]] == "" {
			t.Errorf("no test sends %s", row[1])
		}
	}
}

// ppp expects texts in pppd's log.
func ppp(texts ...string) func(*visit) {
	return func(v *visit) {
		log := strings.Join(strings.Fields(v.g.Log(v.T, "ppp.log")), " ")
		for _, want := range texts {
			if !strings.Contains(log, want) {
				v.Errorf("pppd's log has no %q", want)
			}
		}
	}
}

// addressed expects the client's address to begin so.
func addressed(want string) func(*visit) {
	return func(v *visit) {
		if !strings.HasPrefix(v.session.Address, want) {
			v.Errorf("the session has the address %s, want %s", v.session.Address, want)
		}
		if out := v.g.Exec(v.T, "ip -4 -o addr show dev ppp0"); !strings.Contains(out, v.session.Address) {
			v.Errorf("the client has %s", out)
		}
	}
}

// addressed6 expects the session's IPv6 networks to begin so.
func addressed6(want string) func(*visit) {
	return func(v *visit) {
		for _, p := range v.session.IPv6 {
			if strings.HasPrefix(p, want) {
				return
			}
		}
		v.Errorf("the session has %v, want %s", v.session.IPv6, want)
	}
}

// behind expects that an address of a network behind the client answers the server's host.
func behind(address string) func(*visit) {
	return func(v *visit) {
		v.g.Exec(v.T, "ip addr replace "+address+" dev lo")
		ping := "ping -n -c 2 -W 3 " + address
		if out, err := shell(here.Server)(ping); err != nil {
			v.Errorf("%s: %v\n%s\n%s", ping, err, out, lab.Run(v.T, here.Server, "ip", "route"))
		}
	}
}

// ports expects which of two TCP ports of the server's host answer the client.
func ports(eighty, eightyOne bool) func(*visit) {
	return func(v *visit) {
		for port, want := range map[string]bool{"80": eighty, "81": eightyOne} {
			_, err := v.g.Run("timeout 2 bash -c '</dev/tcp/" + lab.AppIP + "/" + port + "'")
			if (err == nil) != want {
				v.Errorf("port %s answers: %v, want %v", port, err == nil, want)
			}
		}
	}
}

// accounted expects texts in the records of the session.
func accounted(texts ...string) func(*visit) {
	return func(v *visit) {
		for _, want := range texts {
			if !lab.Wait(patience, func() bool { return strings.Contains(v.radius.Accounted(v.session.ID), want) }) {
				v.Errorf("the records have no %s", want)
			}
		}
	}
}

func all(checks ...func(*visit)) func(*visit) {
	return func(v *visit) {
		for _, c := range checks {
			c(v)
		}
	}
}
