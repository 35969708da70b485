//go:build real

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Routing is what a router says to its neighbours. Its networks, those of the device lan,
// are announced.
type Routing struct {
	ID         string         // as of OSPF
	Devices    []string       // those with OSPF, to one neighbour each
	OSPF3      bool           // OSPFv3, too
	RIP        bool           // RIPv2 in place of OSPF
	AS         int            // 0: no BGP
	Neighbours map[string]int // of BGP: addresses and their AS
	Announced  []netip.Prefix // by BGP alone
	Rendezvous string         // PIM's rendezvous point, FRR's alone; empty: no PIM
}

// A Router is a program that speaks routing protocols, and was not written here.
type Router interface {
	// Full are the neighbours with which OSPFv2, or OSPFv3, is in the state Full.
	Full(six bool) int
	// Established are the neighbours with which BGP is in that state.
	Established() int
	// State is what it has to say of all that, for people.
	State() string
}

// The protocols' own times, so that tests are short: a neighbour that was not heard for
// DeadInterval is gone.
const (
	HelloInterval = 1
	DeadInterval  = 4 * time.Second
)

// bird is BIRD 2.
type bird struct{ ns, socket string }

// Bird starts BIRD in a namespace, until the test ends.
func (l *Lab) Bird(t testing.TB, ns string, r Routing) Router {
	t.Helper()
	dir := t.TempDir()
	b := &bird{ns, filepath.Join(dir, "socket")}
	file := writeFile(t, dir, "bird.conf", birdConfig(r))
	run := Start(t, Command(ns, "bird", "-f", "-c", file, "-s", b.socket), filepath.Join(dir, "log"))
	if !Wait(15*time.Second, func() bool { return b.ask("show status") != "" || run.Ended() }) || run.Ended() {
		t.Fatalf("BIRD does not start: %s", run.Output())
	}
	ended(t, run)
	return b
}

// ended has a daemon end as an administrator ends it, so that it takes its routes along.
func ended(t testing.TB, run *Process) {
	t.Cleanup(func() {
		if run.Signal(syscall.SIGTERM) == nil {
			run.Exit(5 * time.Second)
		}
	})
}

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func birdConfig(r Routing) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log stderr all;\nrouter id %s;\nprotocol device { scan time 1; }\nprotocol direct { ipv4; ipv6; interface \"lan\"; }\n", r.ID)
	b.WriteString("protocol kernel { scan time 2; ipv4 { export where source != RTS_DEVICE && proto != \"announced\"; }; }\nprotocol kernel { scan time 2; ipv6 { export where source != RTS_DEVICE; }; }\n")
	ospf := func(version, name, family string) {
		fmt.Fprintf(&b, "protocol ospf %s %s { %s { import all; export none; }; area 0 {\n\tinterface \"lan\" { stub; };\n", version, name, family)
		for _, d := range r.Devices {
			fmt.Fprintf(&b, "\tinterface %q { type ptp; hello %d; dead %d; };\n", d, HelloInterval, DeadInterval/time.Second)
		}
		b.WriteString("}; }\n")
	}
	switch {
	case r.RIP:
		b.WriteString("protocol rip ripv2 { ipv4 { import all; export all; };\n")
		for _, d := range r.Devices {
			fmt.Fprintf(&b, "\tinterface %q { mode multicast; update time 5; };\n", d)
		}
		b.WriteString("}\n")
	case len(r.Devices) > 0:
		ospf("v2", "ospf2", "ipv4")
		if r.OSPF3 {
			ospf("v3", "ospf3", "ipv6")
		}
	}
	b.WriteString("protocol static announced { ipv4;\n")
	for _, p := range r.Announced {
		fmt.Fprintf(&b, "\troute %v blackhole;\n", p)
	}
	b.WriteString("}\n")
	for addr, as := range r.Neighbours {
		fmt.Fprintf(&b, "protocol bgp { local as %d; neighbor %s as %d; direct; connect retry time 3; connect delay time 1; error wait time 1, 3; ipv4 { import all; export where proto = \"announced\"; }; }\n", r.AS, addr, as)
	}
	return b.String()
}

func (b *bird) ask(command string) string {
	out, err := Command(b.ns, append([]string{"birdc", "-s", b.socket}, strings.Fields(command)...)...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// Full implements Router.
func (b *bird) Full(six bool) int {
	if six {
		return strings.Count(b.ask("show ospf neighbors ospf3"), "Full/")
	}
	return strings.Count(b.ask("show ospf neighbors ospf2"), "Full/")
}

// Established implements Router.
func (b *bird) Established() int { return strings.Count(b.ask("show protocols"), "Established") }

// State implements Router.
func (b *bird) State() string {
	return b.ask("show protocols") + b.ask("show ospf neighbors ospf2") + b.ask("show ospf neighbors ospf3") + b.ask("show route count")
}

// frr is FRRouting.
type frr struct{ ns, dir string }

// FRR starts FRRouting's daemons in a namespace, until the test ends.
func (l *Lab) FRR(t testing.TB, ns string, r Routing) Router {
	t.Helper()
	f := &frr{ns, frrDir(t)}
	daemons := []string{"zebra"}
	switch {
	case r.RIP:
		daemons = append(daemons, "ripd")
	case len(r.Devices) > 0:
		daemons = append(daemons, "ospfd")
		if r.OSPF3 {
			daemons = append(daemons, "ospf6d")
		}
	}
	if r.AS != 0 {
		daemons = append(daemons, "bgpd")
	}
	if r.Rendezvous != "" {
		daemons = append(daemons, "pimd")
	}
	for _, name := range daemons {
		args := []string{"/usr/lib/frr/" + name, "-P", "0", "--vty_socket", f.dir,
			"-z", filepath.Join(f.dir, "zserv.api"), "-i", filepath.Join(f.dir, name+".pid"), "--log", "stdout"}
		run := Start(t, Command(ns, args...), filepath.Join(f.dir, name+".log"))
		up := func() bool { _, err := os.Stat(filepath.Join(f.dir, name+".vty")); return err == nil || run.Ended() }
		if !Wait(15*time.Second, up) || run.Ended() {
			t.Fatalf("FRR's %s does not start: %s", name, run.Output())
		}
		ended(t, run)
	}
	out := Run(t, ns, "vtysh", "--vty_socket", f.dir, "-f", writeFile(t, f.dir, "frr.conf", frrConfig(r)))
	if strings.Contains(out, "%") {
		t.Fatalf("FRR does not take its configuration: %s", out)
	}
	return f
}

// frrDir is a folder of the user as whom FRR's daemons run.
func frrDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	RunHere(t, "chown", "frr:frr", dir)
	return dir
}

func frrConfig(r Routing) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ip router-id %s\n", r.ID)
	for _, d := range append([]string{"lan"}, r.Devices...) {
		fmt.Fprintf(&b, "interface %s\n", d)
		if !r.RIP && len(r.Devices) > 0 {
			b.WriteString(frrOSPF("ip ospf area 0", "ip ospf", d))
			if r.OSPF3 {
				b.WriteString(frrOSPF("ipv6 ospf6 area 0", "ipv6 ospf6", d))
			}
		}
		if r.Rendezvous != "" {
			b.WriteString(" ip pim\n")
			if d == "lan" {
				b.WriteString(" ip igmp\n")
			}
		}
		b.WriteString("exit\n")
	}
	switch {
	case r.RIP:
		b.WriteString("router rip\n timers basic 5 30 20\n redistribute connected\n")
		for _, d := range r.Devices {
			fmt.Fprintf(&b, " network %s\n", d)
		}
		b.WriteString("exit\n")
	case len(r.Devices) > 0:
		fmt.Fprintf(&b, "router ospf\n ospf router-id %s\nexit\n", r.ID)
		if r.OSPF3 {
			fmt.Fprintf(&b, "router ospf6\n ospf6 router-id %s\nexit\n", r.ID)
		}
	}
	if r.AS != 0 {
		fmt.Fprintf(&b, "router bgp %d\n no bgp ebgp-requires-policy\n no bgp network import-check\n timers bgp 3 9\n", r.AS)
		for addr, as := range r.Neighbours {
			fmt.Fprintf(&b, " neighbor %s remote-as %d\n neighbor %s timers connect 3\n", addr, as, addr)
		}
		b.WriteString(" address-family ipv4 unicast\n")
		for _, p := range r.Announced {
			fmt.Fprintf(&b, "  network %v\n", p)
		}
		b.WriteString(" exit-address-family\nexit\n")
	}
	if r.Rendezvous != "" {
		fmt.Fprintf(&b, "ip pim rp %s 239.0.0.0/8\n", r.Rendezvous)
	}
	return b.String()
}

// frrOSPF is a device's part of one version of OSPF.
func frrOSPF(area, prefix, device string) string {
	if device == "lan" {
		return fmt.Sprintf(" %s\n %s passive\n", area, prefix)
	}
	return fmt.Sprintf(" %s\n %s network point-to-point\n %s hello-interval %d\n %s dead-interval %d\n",
		area, prefix, prefix, HelloInterval, prefix, DeadInterval/time.Second)
}

func (f *frr) ask(command string) string {
	out, err := Command(f.ns, "vtysh", "--vty_socket", f.dir, "-c", command).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// Full implements Router.
func (f *frr) Full(six bool) int {
	if six {
		return strings.Count(f.ask("show ipv6 ospf6 neighbor"), "Full/")
	}
	return strings.Count(f.ask("show ip ospf neighbor"), "Full/")
}

// Established implements Router.
func (f *frr) Established() int {
	return strings.Count(f.ask("show bgp neighbors"), "BGP state = Established")
}

// State implements Router.
func (f *frr) State() string {
	return f.ask("show ip ospf neighbor") + f.ask("show ipv6 ospf6 neighbor") + f.ask("show bgp summary") + f.ask("show ip route summary")
}
