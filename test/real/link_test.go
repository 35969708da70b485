//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/real/lab"
)

// site is one of two offices: a router with an adit, and a host behind it. A wire leads
// from router to router, and is the default route of both, so that what leaks is seen.
type site struct {
	router, host string // namespaces
	lan          string // the host's address
	file, socket string
	dir          string
	peer         string // name of its link
	run          *lab.Process
}

// The routers' addresses on the wire.
var wires = [2]string{"10.98.0.1", "10.98.0.2"}

// makeOffices makes the namespaces, and writes the configurations. The lines are added to
// each one's [[link]].
func makeOffices(t *testing.T, ipsec, one, two string) [2]*site {
	t.Helper()
	names := [2]string{"head", "branch"}
	var list [2]*site
	for i := range list {
		ns := fmt.Sprintf("adit-real-l%d", i+1)
		list[i] = &site{router: ns, host: ns + "h", lan: fmt.Sprintf("192.168.%d.10", 71+i), peer: names[1-i], dir: t.TempDir()}
		for _, n := range []string{list[i].router, list[i].host} {
			sh(t, "ip netns add "+n)
			t.Cleanup(func() { sh(t, "ip netns del "+n) })
			sh(t, "ip -n "+n+" link set lo up")
		}
	}
	sh(t, "ip -n "+list[0].router+" link add wire type veth peer name wire netns "+list[1].router)
	for i, o := range list {
		net := fmt.Sprintf("192.168.%d", 71+i)
		sh(t, "ip -n "+o.router+" link add lan type veth peer name eth0 netns "+o.host)
		sh(t, "ip -n "+o.router+" addr add "+wires[i]+"/24 dev wire")
		sh(t, "ip -n "+o.router+" addr add "+net+".1/24 dev lan")
		sh(t, "ip -n "+o.router+" link set wire up")
		sh(t, "ip -n "+o.router+" link set lan up")
		sh(t, "ip -n "+o.router+" route add default via "+wires[1-i])
		sh(t, "ip -n "+o.host+" addr add "+o.lan+"/24 dev eth0")
		sh(t, "ip -n "+o.host+" link set eth0 up")
		sh(t, "ip -n "+o.host+" route add default via "+net+".1")
		lab.Run(t, o.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
		// What leaves by the wire and is neither IKE nor ESP is counted. A router whose server
		// is dead says that its ports are.
		nft(t, o, "add table ip watch; add chain ip watch out { type filter hook postrouting priority 300; }; "+
			"add rule ip watch out oifname wire udp dport { 500, 4500 } accept; add rule ip watch out oifname wire meta l4proto esp accept; "+
			"add rule ip watch out oifname wire ip saddr 10.98.0.0/24 ip daddr 10.98.0.0/24 icmp type destination-unreachable accept; add rule ip watch out oifname wire counter drop; "+
			"add chain ip watch in { type filter hook prerouting priority -400; }")
		o.configure(t, ipsec, names[i], fmt.Sprintf("192.168.%d.0/24", 72-i), wires[1-i], [2]string{one, two}[i])
	}
	return list
}

func sh(t *testing.T, command string) {
	t.Helper()
	lab.RunHere(t, strings.Fields(command)...)
}

func nft(t *testing.T, o *site, rules string) { t.Helper(); lab.Run(t, o.router, "nft", rules) }

// configure writes the configuration of ten lines, and what the test adds.
func (o *site) configure(t *testing.T, ipsec, name, there, remote, more string) {
	t.Helper()
	o.file, o.socket = filepath.Join(o.dir, "adit.toml"), filepath.Join(o.dir, "adit.sock")
	text := fmt.Sprintf(`[server]
state_dir = %q
[admin]
socket = %q
[log]
level = "debug"
[ipsec]
psk = %q
%s
[[link]]
name = %q
remote = [%q]
user = %q
password = "what %s says"
peer_user = %q
peer_password = "what %s says"
routes = [%q]
%s
`, o.dir, o.socket, lab.PSK, ipsec, o.peer, remote, name, name, o.peer, o.peer, there, more)
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(o.dir, "log"))
			lines := strings.Split(string(b), "\n")
			t.Logf("the log of the %s office:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
}

func (o *site) start(t *testing.T) {
	t.Helper()
	o.run = lab.Start(t, lab.Command(o.router, here.Adit, "serve", "-c", o.file), filepath.Join(o.dir, "log"))
}

// link is the office's only link, as its server shows it.
func (o *site) link(t *testing.T) admin.Link {
	t.Helper()
	all := o.list(t)
	if all == nil {
		return admin.Link{State: "no server"}
	}
	if len(all) != 1 {
		t.Fatalf("there are %d links", len(all))
	}
	return all[0]
}

// list is adit link list; nil: there is no server.
func (o *site) list(t *testing.T) []admin.Link {
	t.Helper()
	out, err := lab.Command(o.router, here.Adit, "link", "list", "--json", "--socket", o.socket).Output()
	if err != nil {
		return nil
	}
	var all admin.Links
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatalf("adit link list: %v\n%s", err, out)
	}
	return all.Links
}

// reaches pings the other office's host once.
func (o *site) reaches(other *site) bool {
	return lab.Command(o.host, "ping", "-n", "-c", "1", "-W", "0.3", other.lan).Run() == nil
}

// back waits until both servers run, and then until both offices reach each other, and
// returns how long that took. Before a server runs it keeps nothing from leaving.
func back(t *testing.T, a, b *site, patience time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for _, o := range []*site{a, b} {
		if !lab.Wait(patience, func() bool { return o.link(t).State != "no server" }) {
			t.Fatalf("the server does not start:\n%s", o.run.Output())
		}
	}
	for !a.reaches(b) || !b.reaches(a) {
		if time.Since(began) > patience {
			t.Fatalf("after %v the offices do not reach each other:\n%+v\n%+v", time.Since(began), a.link(t), b.link(t))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// wantOneCall fails the test unless both ends have the link up by the same call alone.
func wantOneCall(t *testing.T, a, b *site) {
	t.Helper()
	one, two := a.link(t), b.link(t)
	if one.State != "up" || two.State != "up" || one.DialledBy == two.DialledBy {
		t.Errorf("the link is\n%+v\n%+v", one, two)
	}
	var calls []admin.Session
	for _, o := range []*site{a, b} {
		var st admin.Status
		out, err := lab.Command(o.router, here.Adit, "status", "--json", "--socket", o.socket).Output()
		if err == nil {
			err = json.Unmarshal(out, &st)
		}
		if err != nil {
			t.Error(err)
		}
		calls = append(calls, st.Sessions...) // of the end that was called
	}
	if len(calls) != 1 {
		t.Errorf("there are %d calls: %+v", len(calls), calls)
	}
}

// leaked is how many packets left by the wire that were neither IKE nor ESP.
func leaked(t *testing.T, o *site) string {
	t.Helper()
	for line := range strings.Lines(lab.Run(t, o.router, "nft", "list", "chain", "ip", "watch", "out")) {
		if i := strings.Index(line, "counter packets "); i >= 0 {
			return strings.Fields(line[i:])[2]
		}
	}
	return "no counter"
}

// cut has nothing come through the wire, or everything again.
func cut(t *testing.T, o *site, on bool) {
	t.Helper()
	if on {
		nft(t, o, "add rule ip watch in iifname wire drop")
	} else {
		nft(t, o, "flush chain ip watch in")
	}
}

// Two offices whose routers both dial have one link, and are back within 5 seconds whatever
// happens to the wire or to a router. Nothing leaves in the clear meanwhile. ADIT_TEST_SOAK
// has it last for ten minutes.
func TestTwoOfficesStayConnected(t *testing.T) {
	both := makeOffices(t, "", "", "")
	a, b := both[0], both[1]
	a.start(t)
	b.start(t)
	first := back(t, a, b, patience)
	wantOneCall(t, a, b)
	if addr := lab.Run(t, a.router, "ip", "route", "show", "192.168.72.0/24"); !strings.Contains(addr, "dev adit-branch") || !strings.Contains(addr, "blackhole") {
		t.Errorf("the routes of the head office are\n%s", addr)
	}
	length := 30 * time.Second
	if os.Getenv("ADIT_TEST_SOAK") != "" {
		length = 10 * time.Minute
	}
	var longest time.Duration
	events := 0
	for end := time.Now().Add(length); time.Now().Before(end); events++ {
		o := both[rand.IntN(2)]
		switch what := rand.IntN(3); what {
		case 0: // the wire is torn for a while
			cut(t, o, true)
			time.Sleep(time.Duration(rand.Int64N(int64(8 * time.Second))))
			cut(t, o, false)
		case 1: // a router loses its power, and has it back
			o.run.Kill()
			time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Second))))
			o.start(t)
		case 2: // a router is restarted
			if err := o.run.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := o.run.Exit(20 * time.Second); code != 0 {
				t.Errorf("the server ended with %d", code)
			}
			o.start(t)
		}
		longest = max(longest, back(t, a, b, 5*time.Second))
		time.Sleep(time.Duration(rand.Int64N(int64(2 * time.Second))))
	}
	time.Sleep(3 * time.Second)
	back(t, a, b, 5*time.Second)
	wantOneCall(t, a, b)
	for _, o := range both {
		if n := leaked(t, o); n != "0" {
			t.Errorf("%s packets have left in the clear", n)
		}
	}
	t.Logf("up after %v; %d times torn, killed or restarted; back after %v at the longest", first, events, longest)
	for _, o := range both {
		if err := o.run.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range both {
		if code := o.run.Exit(20 * time.Second); code != 0 {
			t.Errorf("the server ended with %d", code)
		}
		if routes := lab.Run(t, o.router, "ip", "route"); strings.Contains(routes, "blackhole") || strings.Contains(routes, "adit") {
			t.Errorf("routes are left:\n%s", routes)
		}
	}
}

// On demand the first packet dials, and is answered; what nobody uses is hung up. ESP goes
// without UDP.
func TestTheFirstPingDials(t *testing.T) {
	both := makeOffices(t, `nat_traversal = "auto"`, "dial = \"never\"\naddress = \"10.97.0.1\"\npeer_address = \"10.97.0.2\"", "dial = \"demand\"\nidle_timeout = \"10s\"\naddress = \"peer\"")
	a, b := both[0], both[1]
	a.start(t)
	b.start(t)
	if !lab.Wait(patience, func() bool { return a.link(t).State == "idle" && b.link(t).State == "idle" }) {
		t.Fatalf("%+v\n%+v", a.link(t), b.link(t))
	}
	for range 2 {
		out, err := lab.Command(b.host, "ping", "-n", "-c", "3", "-i", "0.3", "-W", "5", a.lan).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "icmp_seq=1 ttl") || !strings.Contains(string(out), "3 received") {
			t.Errorf("the first ping is not answered: %v\n%s", err, out)
		}
		wantOneCall(t, a, b)
		if addr := lab.Run(t, b.router, "ip", "-o", "addr", "show", "dev", "adit-head"); !strings.Contains(addr, "10.97.0.2 peer 10.97.0.1/32") {
			t.Errorf("the branch's device has %s", addr)
		}
		if !lab.Wait(2*patience, func() bool { return a.link(t).State == "idle" && b.link(t).State == "idle" }) {
			t.Fatalf("nobody hangs up: %+v\n%+v", a.link(t), b.link(t))
		}
	}
	for _, o := range both {
		if n := leaked(t, o); n != "0" {
			t.Errorf("%s packets have left in the clear", n)
		}
	}
}
