//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/real/lab"
)

// A foreign server: libreswan, the kernel's ESP and L2TP, xl2tpd and pppd in a kernel of its
// own, with the defaults of a hundred instructions on the Web.
const foreignServer = `set -e
cat >/etc/ipsec.conf <<E
config setup
	uniqueids=no
	ikev1-policy=accept
conn office
	auto=add
	ikev2=never
	authby=secret
	type=transport
	pfs=no
	left=%s
	leftprotoport=17/1701
	right=%%any
	rightprotoport=17/%%any
	ike=aes256-sha1;modp2048,aes128-sha1;modp2048
	esp=aes256-sha1,aes128-sha1
E
echo '%%any %%any : PSK "%s"' >/etc/ipsec.secrets; chmod 600 /etc/ipsec.secrets
mkdir -p /run/pluto /etc/xl2tpd /run/xl2tpd
cat >/etc/xl2tpd/xl2tpd.conf <<E
[global]
port = 1701
[lns default]
ip range = 10.96.0.10-10.96.0.20
local ip = 10.96.0.1
require chap = yes
refuse pap = yes
require authentication = yes
name = l2tpd
ppp debug = yes
length bit = yes
pppoptfile = /etc/ppp/options.l2tpd
E
printf 'require-mschap-v2\nipcp-accept-local\nipcp-accept-remote\nnoccp\nauth\nmtu 1400\nmru 1400\nname l2tpd\ndebug\nlogfile /mnt/ppp.log\n' >/etc/ppp/options.l2tpd
: >/etc/ppp/options
printf '"head" l2tpd "what head says" *\n"l2tpd" head "what guest says" *\n' >/etc/ppp/chap-secrets; chmod 600 /etc/ppp/chap-secrets
ip addr add 10.96.9.1/32 dev lo
ipsec checknss >/dev/null
`

// startForeign starts the programs of the foreign server, or starts them again.
const startForeign = `pkill -9 xl2tpd; pkill -9 pppd; pkill -9 pluto; rm -f /run/pluto/* /run/xl2tpd* ; ip xfrm state flush; ip xfrm policy flush
ipsec pluto --config /etc/ipsec.conf --nofork --stderrlog </dev/null >/mnt/pluto.log 2>&1 &
for i in $(seq 100); do ipsec whack --listen >/dev/null 2>&1 && break; sleep 0.1; done
ipsec auto --add office
xl2tpd -D -c /etc/xl2tpd/xl2tpd.conf -C /run/xl2tpd.ctl -p /run/xl2tpd.pid </dev/null >/mnt/xl2tpd.log 2>&1 &
sleep 0.5
`

// linkOf is the only link of a server.
func linkOf(t *testing.T, s *lab.Server) admin.Link {
	t.Helper()
	out, err := s.Control("link", "list", "--json")
	var all admin.Links
	if err == nil {
		err = json.Unmarshal(out, &all)
	}
	if err != nil || len(all.Links) != 1 {
		t.Fatalf("adit link list: %v\n%s", err, out)
	}
	return all.Links[0]
}

// pings reports whether a host behind a link answers.
func pings(host string) bool {
	return lab.Command(here.Server, "ping", "-n", "-c", "1", "-W", "0.5", host).Run() == nil
}

// keepsPassing fails the test unless packets pass for 45 seconds, in which the keys of a link
// whose lifetime is 20 seconds are renewed.
func keepsPassing(t *testing.T, s *lab.Server, from, to string) {
	t.Helper()
	up, pairs := linkOf(t, s), len(s.Lines("ESP up"))
	out, err := lab.Command(from, "ping", "-n", "-q", "-i", "0.1", "-c", "450", "-s", "1300", "-W", "2", to).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0% packet loss") {
		t.Errorf("from %s to %s, while keys are renewed: %v\n%s", from, to, err, out)
	}
	if l := linkOf(t, s); l.Since != up.Since {
		t.Errorf("the link was down: %+v", l)
	}
	if n := len(s.Lines("ESP up")) - pairs; n < 2 {
		t.Errorf("in 45 s the keys were renewed %d times", n)
	}
}

// A server that we did not write answers a link, authenticates itself if it is asked to, gives
// the link an address, and carries its traffic; after it was killed and has forgotten
// everything the link is dialled again.
func TestALinkIsDialledToAForeignServer(t *testing.T) {
	lowered, err := here.Build("./test/real/lowered")
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ ipsec, peer, auth string }{
		"ESP in UDP": {"", "peer_user = \"l2tpd\"\npeer_password = \"what guest says\"\npeer_auth = \"required\"\n", "MS-CHAPv2"},
		"ESP alone":  {`nat_traversal = "auto"`, "", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			g := here.Connect(t, lab.Client{Kind: "none"})
			at := strings.TrimSpace(g.Exec(t, "ip -o -4 addr show dev vec0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'"))
			g.Exec(t, fmt.Sprintf(foreignServer, at, lab.PSK))
			g.Exec(t, startForeign)
			s := here.Prepare(t, lab.Config{"ipsec": x.ipsec, "user": fmt.Sprintf(`[[link]]
name = "guest"
remote = [%q]
user = "head"
password = "what head says"
address = "peer"
routes = ["10.96.9.0/24"]
%s`, at, x.peer)})
			s.Binary, s.Args = lowered, []string{"-lifetime", "20s"}
			s.Start(t)
			if !lab.Wait(patience, func() bool { return pings("10.96.9.1") }) {
				t.Fatalf("the network behind the foreign server does not answer: %+v\n%s\n%s", linkOf(t, s), g.Log(t, "pluto.log"), g.Log(t, "xl2tpd.log"))
			}
			if l := linkOf(t, s); l.State != "up" || l.DialledBy != "us" || l.Local != "10.96.0.10" || l.Peer != "10.96.0.1" || l.MTU != 1400 || l.PeerAuth != x.auth {
				t.Errorf("%+v", l)
			}
			keepsPassing(t, s, here.Server, "10.96.9.1")
			g.Exec(t, startForeign)
			if !lab.Wait(2*patience, func() bool { return pings("10.96.9.1") }) {
				t.Errorf("after the other end has forgotten everything: %+v", linkOf(t, s))
			}
			s.Stop(t)
			if !lab.Wait(patience, func() bool { out, err := g.Run("ip link show dev ppp0"); return err != nil && out != "" }) {
				t.Error("the foreign server has not heard the goodbye")
			}
			g.HangUp(t)
		})
	}
}

// A foreign client whose name is a link's is that link: it has the link's device and
// addresses, and the networks behind it are reached by them.
func TestAForeignCallerIsTheLink(t *testing.T) {
	s := here.Serve(t, lab.Config{"user": fmt.Sprintf(`[[link]]
name = "guest"
dial = "never"
user = "head"
password = "what head says"
peer_user = %q
peer_password = %q
address = "10.96.0.1"
peer_address = "10.96.0.2"
routes = ["10.96.9.0/24"]
`, lab.User, lab.Password)})
	for _, kind := range []string{"strongswan", "libreswan"} {
		g := here.Connect(t, lab.Client{Kind: kind})
		g.Exec(t, "ip addr add 10.96.9.1/32 dev lo")
		if l := linkOf(t, s); l.State != "up" || l.DialledBy != "peer" || l.Local != "10.96.0.1" || l.Peer != "10.96.0.2" {
			t.Errorf("%s: %+v", kind, l)
		}
		lab.Run(t, here.Server, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "10.96.9.1")
		if routes := lab.Run(t, here.Server, "ip", "route", "show", "10.96.9.0/24"); !strings.Contains(routes, "dev adit-guest") {
			t.Errorf("the routes are\n%s", routes)
		}
		// Now pppd demands that the server authenticates itself, too.
		g.Exec(t, `sed -i 's/^noauth$/auth\nrequire-mschap-v2/' /etc/ppp/options.xl2tpd; echo '"head" "`+lab.User+`" "what head says" *' >>/etc/ppp/chap-secrets`)
		if code := g.Redial(t, "vpn"); code != lab.Connected {
			t.Fatalf("%s: with two-way authentication it ends with %d:\n%s", kind, code, g.Log(t, "ppp.log"))
		}
		if l, log := linkOf(t, s), g.Log(t, "ppp.log"); l.State != "up" || !strings.Contains(log, `name = "head"`) {
			t.Errorf("%s: %+v\n%s", kind, l, log)
		}
		g.HangUp(t)
		if !lab.Wait(patience, func() bool { return linkOf(t, s).State == "idle" }) {
			t.Errorf("%s has gone, and the link is %+v", kind, linkOf(t, s))
		}
	}
	s.Stop(t)
}
