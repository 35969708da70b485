//go:build real

package real

import (
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// dial6 has a guest hang up and connect again with IPv6, and wait for the
// address that the kernel makes of a Router Advertisement.
func dial6(t *testing.T, g *lab.Guest, wait string) {
	t.Helper()
	t.Log(g.Exec(t, lab.Steps+`hang_up; echo +ipv6 >>/etc/ppp/options.xl2tpd
		echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		dial vpn || exit $?
		found() { ip -6 `+wait+`; ip -6 `+wait+` | grep -q .; }
		until_true 20 found; ip -6 addr show dev ppp0; ip -6 route show dev ppp0`))
}

// pppd negotiates IPV6CP with us, and the Linux kernel takes the Router
// Advertisement: an address of the session's /64 and a default route.
func TestLinuxHasIPv6Inside(t *testing.T) {
	s := here.Serve(t, lab.Config{"network": strings.Join([]string{
		`pool6 = ["2001:db8:1::/48"]`, `dns = ["9.9.9.9", "2620:fe::9"]`,
	}, "\n")})
	g := here.Connect(t, lab.Client{NAT: true})
	dial6(t, g, "addr show dev ppp0 scope global")
	if out := g.Exec(t, "ip -6 addr show dev ppp0 scope global"); !strings.Contains(out, "inet6 2001:db8:1:1:") {
		t.Fatalf("the guest's addresses: %s", out)
	}
	if out := g.Exec(t, "ip -6 route show default"); !strings.Contains(out, "via fe80::1 dev ppp0 proto ra") {
		t.Errorf("the guest's default routes: %s", out)
	}
	for _, size := range []string{"56", "1400", "3000"} { // as it fits, cut by the guest
		if out := g.Exec(t, "ping -6 -n -c 3 -W 2 -s "+size+" 2001:db8:1::1"); !strings.Contains(out, "3 received") {
			t.Errorf("the guest does not reach the server with %s bytes: %s", size, out)
		}
	}
	if out := g.Exec(t, "ping -6 -n -c 3 -W 2 fe80::1%ppp0"); !strings.Contains(out, "3 received") {
		t.Errorf("the guest does not reach its router: %s", out)
	}
	if out := g.Exec(t, "ping -n -c 3 -W 2 "+lab.AppIP); !strings.Contains(out, "3 received") {
		t.Errorf("there is no IPv4 any more: %s", out)
	}
	if six := s.Session(t).IPv6; len(six) != 1 || six[0] != "2001:db8:1:1::/64" {
		t.Errorf("the session has %v", six)
	}
	g.HangUp(t)
	s.Stop(t)
}
