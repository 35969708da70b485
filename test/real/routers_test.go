//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/adit-vpn/adit/internal/admin"
	"github.com/adit-vpn/adit/test/real/lab"
)

// router is a namespace with an adit, a program that speaks routing protocols, and a network
// with a host behind it. No route leads anywhere but those that the program has learnt, and
// a default route, by which what leaks is seen.
type router struct {
	n           int // from 1
	ns, host    string
	dir, socket string
	ends        []end
	run         *lab.Process
	routing     lab.Router
	address     string // of the host
	address6    string
}

// end is a router's end of the link over a wire.
type end struct {
	wire, side int // side is 0 or 1
	peer       int
	device     string // of the link
}

// over is what joins the routers: lines of each [[tunnel]], or none for a [[link]].
type over struct {
	tunnel  string
	four    bool // IPv4 inside
	six     bool // IPv6 inside
	outside bool // IPv6 outside
	ipsec   string
}

var (
	overLink = over{four: true, six: true}
	overGRE  = over{tunnel: `mode = "gre"`, four: true, six: true}
	overIPIP = over{tunnel: `mode = "ipip"`, four: true, ipsec: `nat_traversal = "auto"`} // ESP alone
	overIP6  = over{tunnel: `mode = "ip6gre"`, four: true, six: true, outside: true}
)

// makeRing makes routers in a ring, or two of them. Their wires are those between each one
// and the next, from 0.
func makeRing(t *testing.T, n int, o over) []*router {
	t.Helper()
	wires := n
	if n == 2 {
		wires = 1
	}
	list := make([]*router, n)
	for i := range list {
		list[i] = newRouter(t, i+1)
	}
	for w := range wires {
		a, b := list[w], list[(w+1)%n]
		sh(t, fmt.Sprintf("ip -n %s link add w%d type veth peer name w%d netns %s", a.ns, w, w, b.ns))
		for side, r := range []*router{a, b} {
			e := end{wire: w, side: side, peer: []*router{b, a}[side].n, device: fmt.Sprintf("t%d", w)}
			if o.tunnel == "" {
				e.device = fmt.Sprintf("adit-w%d", w)
			}
			r.ends = append(r.ends, e)
			r.plug(t, e, o)
		}
	}
	for _, r := range list {
		r.configure(t, o)
	}
	return list
}

// plug gives a router its address on a wire. The default route is by the first one.
func (r *router) plug(t *testing.T, e end, o over) {
	t.Helper()
	sh(t, fmt.Sprintf("ip -n %s addr add %s/24 dev w%d", r.ns, e.outside(false, e.side), e.wire))
	if o.outside {
		sh(t, fmt.Sprintf("ip -n %s addr add %s/64 dev w%d nodad", r.ns, e.outside(true, e.side), e.wire))
	} else {
		lab.Run(t, r.ns, "sysctl", "-qw", fmt.Sprintf("net.ipv6.conf.w%d.disable_ipv6=1", e.wire))
	}
	sh(t, fmt.Sprintf("ip -n %s link set w%d up", r.ns, e.wire))
	if len(r.ends) == 1 {
		sh(t, fmt.Sprintf("ip -n %s route add default via %s", r.ns, e.outside(false, 1-e.side)))
	}
}

// newRouter makes a router's namespace, its network and its host.
func newRouter(t *testing.T, n int) *router {
	t.Helper()
	r := &router{n: n, ns: fmt.Sprintf("adit-real-r%d", n), dir: t.TempDir()}
	r.host, r.socket = r.ns+"h", filepath.Join(r.dir, "adit.sock")
	r.address, r.address6 = fmt.Sprintf("192.168.8%d.10", n), fmt.Sprintf("fd00:8%d::10", n)
	for _, ns := range []string{r.ns, r.host} {
		sh(t, "ip netns add "+ns)
		t.Cleanup(func() { sh(t, "ip netns del "+ns) })
		sh(t, "ip -n "+ns+" link set lo up")
	}
	lab.Run(t, r.ns, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	sh(t, "ip -n "+r.ns+" link add lan type veth peer name eth0 netns "+r.host)
	for _, x := range [][3]string{{r.ns, "lan", "1"}, {r.host, "eth0", "10"}} {
		sh(t, fmt.Sprintf("ip -n %s addr add 192.168.8%d.%s/24 dev %s", x[0], n, x[2], x[1]))
		sh(t, fmt.Sprintf("ip -n %s addr add fd00:8%d::%s/64 dev %s nodad", x[0], n, x[2], x[1]))
		sh(t, fmt.Sprintf("ip -n %s link set %s up", x[0], x[1]))
	}
	sh(t, fmt.Sprintf("ip -n %s route add default via 192.168.8%d.1", r.host, n))
	sh(t, fmt.Sprintf("ip -n %s -6 route add default via fd00:8%d::1", r.host, n))
	sh(t, fmt.Sprintf("ip -n %s addr add %s/32 dev lo", r.ns, r.other()))
	// What is private and has no route does not leave by the default route.
	sh(t, "ip -n "+r.ns+" route add blackhole 192.168.0.0/16")
	sh(t, "ip -n "+r.ns+" route add blackhole 172.16.0.0/12")
	sh(t, "ip -n "+r.ns+" -6 route add blackhole fd00::/16 metric 100000")
	return r
}

// outside is the address of one side of the wire.
func (e end) outside(six bool, side int) string {
	if six {
		return fmt.Sprintf("fd00:98:%d::%d", e.wire, side+1)
	}
	return fmt.Sprintf("10.98.%d.%d", e.wire, side+1)
}

// inside is the address of one side of the link.
func (e end) inside(side int) string { return fmt.Sprintf("172.20.%d.%d", e.wire, side+1) }

// configure writes the configuration of the router's adit.
func (r *router) configure(t *testing.T, o over) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[server]\nstate_dir = %q\n[admin]\nsocket = %q\n[log]\nlevel = \"debug\"\n[ipsec]\npsk = %q\n%s\n", r.dir, r.socket, lab.PSK, o.ipsec)
	for _, e := range r.ends {
		if o.tunnel == "" {
			fmt.Fprintf(&b, "[[link]]\nname = \"w%d\"\nremote = [%q]\nuser = \"r%d\"\npassword = \"what r%d says\"\npeer_user = \"r%d\"\npeer_password = \"what r%d says\"\nipv6 = true\n",
				e.wire, e.outside(false, 1-e.side), r.n, r.n, e.peer, e.peer)
		} else {
			fmt.Fprintf(&b, "[[tunnel]]\nname = %q\nremote = %q\n%s\n", e.device, e.outside(o.outside, 1-e.side), o.tunnel)
			if o.six {
				fmt.Fprintf(&b, "address6 = \"fe80::%d\"\npeer_address6 = \"fe80::%d\"\n", e.side+1, 2-e.side)
			}
		}
		fmt.Fprintf(&b, "address = %q\npeer_address = %q\n", e.inside(e.side), e.inside(1-e.side))
	}
	if err := os.WriteFile(filepath.Join(r.dir, "adit.toml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		log, _ := os.ReadFile(filepath.Join(r.dir, "log"))
		lines := strings.Split(string(log), "\n")
		t.Logf("router %d:\n%s", r.n, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	})
}

// start starts the router's adit.
func (r *router) start(t *testing.T) {
	t.Helper()
	r.run = lab.Start(t, lab.Command(r.ns, here.Adit, "serve", "-c", filepath.Join(r.dir, "adit.toml")), filepath.Join(r.dir, "log"))
}

// stop ends the router's adit as an administrator does.
func (r *router) stop(t *testing.T) {
	t.Helper()
	if err := r.run.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := r.run.Exit(lab.DeadInterval * 5); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
}

// up reports whether all of the router's links are.
func (r *router) up() bool {
	out, err := lab.Command(r.ns, here.Adit, "link", "list", "--json", "--socket", r.socket).Output()
	var all admin.Links
	if err != nil || json.Unmarshal(out, &all) != nil {
		return false
	}
	for _, l := range all.Links {
		if l.State != "up" {
			return false
		}
	}
	return len(all.Links) == len(r.ends)
}

// devices are those of the router's links.
func (r *router) devices() (list []string) {
	for _, e := range r.ends {
		list = append(list, e.device)
	}
	return list
}

// id is the router's name in routing protocols.
func (r *router) id() string { return fmt.Sprintf("10.255.0.%d", r.n) }

// other is an address of the router's own.
func (r *router) other() string { return fmt.Sprintf("172.31.%d.1", r.n) }

// as is its autonomous system.
func (r *router) as() int { return 65000 + r.n }

// speak starts a program that speaks routing protocols: BIRD on routers with odd numbers,
// FRR on the others, and where it is PIM.
func (r *router) speak(t *testing.T, x lab.Routing) {
	t.Helper()
	x.ID, x.Devices = r.id(), r.devices()
	if r.n%2 == 1 && x.Rendezvous == "" {
		r.routing = here.Bird(t, r.ns, x)
	} else {
		r.routing = here.FRR(t, r.ns, x)
	}
}

// reaches reports whether a host reaches another router's.
func (r *router) reaches(other *router) bool { return r.pings(other.address) }

func (r *router) pings(addr string) bool {
	return lab.Command(r.host, "ping", "-n", "-c", "1", "-W", "0.3", addr).Run() == nil
}

// cutWire has nothing come through a wire, or everything again.
func cutWire(t *testing.T, ring []*router, wire int, off bool) {
	t.Helper()
	rules := "add table netdev cut; delete table netdev cut"
	if off {
		rules = fmt.Sprintf("add table netdev cut; add chain netdev cut in { type filter hook ingress device w%d priority 0; policy drop; }", wire)
	}
	for _, r := range ring {
		for _, e := range r.ends {
			if e.wire == wire {
				lab.Run(t, r.ns, "nft", rules)
			}
		}
	}
}

// hops is how many routers what one host sends to another's passes; 0: it does not arrive.
func hops(t *testing.T, from, to *router) int {
	t.Helper()
	for n := range 8 {
		if lab.Command(from.host, "ping", "-n", "-c", "1", "-W", "0.5", "-t", fmt.Sprint(n+1), to.address).Run() == nil {
			return n
		}
	}
	return 0
}
