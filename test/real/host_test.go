//go:build real

package real

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/test/real/lab"
)

// makeBranch connects a network with one host to the server, which is its
// router: 192.168.60.10 behind 192.168.60.1, and IPv6 alike.
func makeBranch(t *testing.T) (ns, host, host6 string) {
	t.Helper()
	ns, host, host6 = "adit-real-branch", "192.168.60.10", "2001:db8:60::10"
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	ip("netns add " + ns)
	t.Cleanup(func() { ip("netns del " + ns) })
	ip("-n " + here.Server + " link add branch type veth peer name eth0 netns " + ns)
	t.Cleanup(func() { ip("-n " + here.Server + " link del branch") }) // it would go later than its namespace
	t.Cleanup(func() {                                                 // other tests have a host without IPv6
		lab.Run(t, here.Server, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.accept_dad=1")
	})
	for _, n := range []string{here.Server, ns} {
		lab.Run(t, n, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.accept_dad=0")
	}
	ip("-n " + here.Server + " addr add 192.168.60.1/24 dev branch")
	ip("-n " + here.Server + " addr add 2001:db8:60::1/64 dev branch nodad")
	ip("-n " + here.Server + " link set branch up")
	ip("-n " + ns + " link set lo up")
	ip("-n " + ns + " addr add " + host + "/24 dev eth0")
	ip("-n " + ns + " addr add " + host6 + "/64 dev eth0 nodad")
	ip("-n " + ns + " link set eth0 up")
	ip("-n " + ns + " route add default via 192.168.60.1")
	ip("-n " + ns + " route add default via 2001:db8:60::1")
	return ns, host, host6
}

// told pings with a size and "do not fragment", and wants to be told how long a
// packet may be.
func told(t *testing.T, from func(command string) (string, error), to string, size, mtu int) {
	t.Helper()
	six := strings.Contains(to, ":")
	overhead := 28
	if six {
		overhead = 48
	}
	out, _ := from(fmt.Sprintf("ping -n -M do -c 3 -i 0.3 -W 2 -s %d %s 2>&1", size-overhead, to)) // it fails, as it should
	if said := regexp.MustCompile(`mtu[ =:]+(\d+)`).FindAllStringSubmatch(out, -1); len(said) == 0 || said[len(said)-1][1] != fmt.Sprint(mtu) {
		t.Errorf("%d bytes to %s: want to be told %d:\n%s", size, to, mtu, out)
	}
}

// shell runs commands in a namespace.
func shell(ns string) func(string) (string, error) {
	return func(command string) (string, error) {
		out, err := lab.Command(ns, "sh", "-c", command).CombinedOutput()
		return string(out), err
	}
}

// A client takes 1,300 bytes. Whoever sends it more, and asks not to have that
// fragmented, is told: a host behind the server, the server's host, another
// client; with IPv4 and IPv6. Whoever does not ask has it delivered.
func TestSendersAreToldWhatIsTooLong(t *testing.T) {
	ns, host, _ := makeBranch(t)
	s := here.Serve(t, lab.Config{"network": `pool6 = ["2001:db8:83::/48"]
inbound = ["192.168.60.0/24", "2001:db8:60::/64"]`})
	g := here.Connect(t, lab.Client{ID: 1, Args: []string{"--mtu", "1300", "--route", "192.168.60.0/24", "--route", "10.83.0.0/24", "--ping", host}})
	client := s.Session(t).Address
	other := here.Connect(t, lab.Client{ID: 2, Args: []string{"--route", "10.83.0.0/24"}})
	places := map[string]func(string) (string, error){
		"a host behind the server": shell(ns),
		"the server's host":        shell(here.Server),
		"another client":           other.Run,
	}
	for name, from := range places {
		t.Run(name, func(t *testing.T) {
			told(t, from, client, 1400, 1300)
			out, err := from("ip route flush cache; ping -n -M dont -c 2 -W 3 -s 1372 " + client)
			if err != nil {
				t.Errorf("without DF: %v\n%s", err, out)
			}
		})
	}
	for _, c := range []*lab.Guest{g, other} {
		dial6(t, c, "addr show dev ppp0 scope global")
	}
	six := regexp.MustCompile(`inet6 (2001:db8:83:[0-9a-f:]+)`).FindStringSubmatch(g.Exec(t, "ip -6 addr show dev ppp0 scope global"))
	if six == nil {
		t.Fatal("the guest has no address of IPv6")
	}
	for name, from := range places {
		t.Run(name+", IPv6", func(t *testing.T) { told(t, from, six[1], 1400, 1300) })
	}
	s.Stop(t)
}

// In TAP mode the senders are neighbours.
func TestNeighboursAreToldWhatIsTooLong(t *testing.T) {
	makeOffice(t)
	lab.Run(t, here.Server, "ip", "addr", "add", "192.168.50.1/24", "dev", "office")
	s := here.Serve(t, lab.Config{"network": strings.Join([]string{
		`mode = "tap"`, `bridge = "office"`, `lan = "192.168.50.0/24"`, `gateway = "192.168.50.1"`,
	}, "\n"), "pool": `["192.168.50.200-192.168.50.250"]`})
	here.Connect(t, lab.Client{ID: 1, NAT: true, Args: []string{"--mtu", "1300", "--ping", officeHost, "--route", "192.168.50.0/24"}})
	client := s.Session(t).Address
	other := here.Connect(t, lab.Client{ID: 2, NAT: true, Args: []string{"--ping", officeHost, "--route", "192.168.50.0/24"}})
	if mtu := lab.Run(t, here.Server, "cat", "/sys/class/net/office/mtu"); strings.TrimSpace(mtu) != "1500" {
		t.Errorf("the office's bridge has an MTU of %s", mtu)
	}
	for name, v := range map[string]struct {
		from func(string) (string, error)
		most int
	}{
		"an office host": {shell(office), 1500}, "the server's host": {shell(here.Server), 1500}, "another client": {other.Run, 1400},
	} {
		t.Run(name, func(t *testing.T) {
			told(t, v.from, client, v.most, 1300)
			out, err := v.from(fmt.Sprintf("ip route flush cache; ping -n -M dont -c 2 -W 3 -s %d %s", v.most-28, client))
			if err != nil {
				t.Errorf("without DF: %v\n%s", err, out)
			}
		})
	}
	s.Stop(t)
}

// A firewall that drops what is forwarded is named with the commands that help,
// by adit check, by the log, and by adit status; with them the client reaches
// what lies behind the server.
func TestAForwardChainThatDropsIsNamed(t *testing.T) {
	_, host, _ := makeBranch(t)
	lab.Run(t, here.Server, "iptables", "-P", "FORWARD", "DROP")
	t.Cleanup(func() { lab.Run(t, here.Server, "nft", "delete", "table", "ip", "filter") })
	s := here.Prepare(t, nil)
	out, err := s.Command("check").CombinedOutput()
	if err != nil {
		t.Errorf("adit check: %v\n%s", err, out)
	}
	commands := regexp.MustCompile("`(iptables [^`]+)`").FindAllStringSubmatch(string(out), -1)
	if !contains(string(out), "ip filter FORWARD") || len(commands) != 2 {
		t.Fatalf("adit check does not name the chain and two commands:\n%s", out)
	}
	s.Start(t)
	g := here.Connect(t, lab.Client{Args: []string{"--route", "192.168.60.0/24"}})
	ping := "ping -n -c 2 -W 2 " + host
	if out, err := g.Run(ping); err == nil {
		t.Fatalf("the chain drops nothing:\n%s", out)
	}
	if w := strings.Join(s.Status(t).Warnings, "\n"); !contains(w, "ip filter FORWARD") || !contains(string(s.Log()), "ip filter FORWARD") {
		t.Errorf("status warns of %q, and the log:\n%s", w, s.Log())
	}
	for _, c := range commands {
		lab.Run(t, here.Server, "sh", "-c", c[1])
	}
	g.Exec(t, ping)
	if w := strings.Join(s.Status(t).Warnings, "\n"); contains(w, "FORWARD") {
		t.Errorf("status still warns: %q", w)
	}
	s.Stop(t)
}

// A user's own address may be in no pool, and may come while the server runs:
// the host routes it to the session and hides it as it hides the others.
func TestAnAddressOfNoPoolWorksEndToEnd(t *testing.T) {
	_, host, _ := makeBranch(t)
	s := here.Serve(t, lab.Config{"user": "[[user]]\nname = \"early\"\npassword = \"" + lab.Password + "\"\naddress = \"172.31.9.8\"\n"})
	add := s.Command("user", "add", "late", "-address", "172.31.9.9")
	add.Stdin = strings.NewReader(lab.Password + "\n")
	// It is live at once.
	if out, err := add.CombinedOutput(); err != nil || !contains(string(out), "The server has taken it over.") {
		t.Fatalf("adit user add: %v\n%s", err, out)
	}
	for _, v := range []struct{ user, address string }{{"early", "172.31.9.8"}, {"late", "172.31.9.9"}} {
		t.Run(v.user, func(t *testing.T) {
			g := here.Connect(t, lab.Client{User: v.user, Args: []string{"--route", "192.168.60.0/24", "--ping", host}})
			if got := s.Session(t).Address; got != v.address {
				t.Errorf("%s has %s, want %s", v.user, got, v.address)
			}
			if out, err := shell(here.Server)("ping -n -c 2 -W 2 " + v.address); err != nil {
				t.Errorf("the server does not reach the client: %v\n%s", err, out)
			}
			g.HangUp(t)
			if !lab.Wait(patience, func() bool { return !contains(lab.Run(t, here.Server, "ip", "route"), v.address) }) {
				t.Error("the route is still there after the session")
			}
			if rules := lab.Run(t, here.Server, "nft", "list", "ruleset"); contains(rules, v.address) {
				t.Errorf("the address is still masqueraded:\n%s", rules)
			}
		})
	}
	s.Stop(t)
}
