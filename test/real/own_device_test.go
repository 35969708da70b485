//go:build real

package real

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// A user's sessions have a device each, named after the user, with the addresses of both
// ends, for as long as they live. All that the user sends and receives is on it, nothing on
// the common one, and what passes is the same as there: the Internet's hosts cannot open
// connections to the client before they may, and two clients reach each other.
func TestAUsersSessionsHaveDevicesOfTheirOwn(t *testing.T) {
	ns, host, host6 := makeBranch(t)
	users := fmt.Sprintf("[[user]]\nname = %q\npassword = %q\ninterface = true\n", lab.User, lab.Password)
	const network = "pool6 = [\"2001:db8:83::/48\"]\nhost_access = []"
	s := here.Serve(t, lab.Config{"user": users, "network": network})
	route := []string{"--route", "192.168.60.0/24", "--route", "10.83.0.0/24", "--ping", host}
	g := here.Connect(t, lab.Client{ID: 1, Args: route})
	x := s.Session(t)
	other := here.Connect(t, lab.Client{ID: 2, Args: route})
	const first, second = "adit0-" + lab.User, "adit0-" + lab.User + ".2"

	addr := lab.Run(t, here.Server, "ip", "-o", "addr", "show", "dev", first)
	if !strings.Contains(addr, "10.83.0.1 peer "+x.Address+"/32") {
		t.Errorf("the device has %s, want 10.83.0.1 and the peer %s", addr, x.Address)
	}
	before, common := received(t, first), received(t, "adit0")
	g.Exec(t, "ping -n -c 20 -i 0.05 -s 1000 "+host)
	if n := received(t, first) - before; n < 20*1000 {
		t.Errorf("the user's device has carried %d bytes of 20 pings of 1,000", n)
	}
	if n := received(t, "adit0") - common; n != 0 {
		t.Errorf("the common device has carried %d bytes of them", n)
	}
	peer := regexp.MustCompile(`peer (10\.83\.0\.\d+)`).FindStringSubmatch(lab.Run(t, here.Server, "ip", "-o", "addr", "show", "dev", second))
	if peer == nil {
		t.Fatal("the second device has no peer")
	}
	g.Exec(t, "ping -n -c 2 -W 3 "+peer[1])
	dial6(t, g, "addr show dev ppp0 scope global")
	if out, err := g.Run("ping -6 -n -c 3 -W 3 " + host6); err != nil {
		t.Errorf("IPv6 does not pass: %v\n%s", err, out)
	}

	lab.Listen(t, here.Server, "0.0.0.0:2222")
	client := strings.TrimSpace(g.Exec(t, "ip -o -4 addr show dev ppp0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'"))
	office := func() bool { _, err := shell(ns)("ping -n -c 1 -W 2 " + client); return err == nil }
	service := func() bool { _, err := g.Run("timeout 2 bash -c '</dev/tcp/10.83.0.1/2222'"); return err == nil }
	if office() || service() {
		t.Errorf("by default a host behind the server reaches the client: %v, and the client a service: %v", office(), service())
	}
	s.Change(t, network, network[:len(network)-1]+"\"tcp/2222\"]\ninbound = [\"192.168.60.0/24\"]")
	s.Reload(t)
	if !office() || !service() {
		t.Errorf("where they may, a host behind the server reaches the client: %v, and the client the service: %v", office(), service())
	}

	if rules := lab.Run(t, here.Server, "nft", "list", "ruleset"); strings.Contains(rules, first) {
		t.Errorf("the guard takes the user's device for somebody else's:\n%s", rules)
	}
	other.HangUp(t)
	g.HangUp(t)
	if !lab.Wait(patience, func() bool { return !strings.Contains(lab.Run(t, here.Server, "ip", "-o", "link"), "adit0-") }) {
		t.Errorf("after the sessions there are still devices:\n%s", lab.Run(t, here.Server, "ip", "-o", "link"))
	}
	s.Stop(t)
}

// received is how many bytes a device of the server's has received.
func received(t *testing.T, device string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(lab.Run(t, here.Server, "cat", "/sys/class/net/"+device+"/statistics/rx_bytes")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
