package hostnet

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// run runs a command in the namespace of the calling thread.
func run(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// What others have come to rely on stays on: at the end, and after a crash.
func TestForwardingThatOthersRelyOnStaysOn(t *testing.T) {
	for _, v := range []struct {
		name string
		does func(t *testing.T)
		left string // what the administrator is told
		live bool   // it is seen only while the server runs
	}{
		{"sysctl -w", func(t *testing.T) { run(t, "sysctl -qw net.ipv4.ip_forward=1") }, "somebody else has set it", false},
		{"a shell", func(t *testing.T) {
			run(t, "echo 1 >/proc/sys/net/ipv4/conf/all/forwarding; echo 1 >/proc/sys/net/ipv4/ip_forward")
		}, "somebody else has set it", false},
		{"a program that does not truncate", func(t *testing.T) {
			f, err := os.OpenFile("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if _, err := f.WriteString("1"); err != nil {
				t.Error(err)
			}
		}, "somebody else has set it", true},
		{"off and on again", func(t *testing.T) {
			run(t, "sysctl -qw net.ipv4.ip_forward=0; sysctl -qw net.ipv4.ip_forward=1")
		}, "somebody else has set it", false},
		{"the same by its other name", func(t *testing.T) { run(t, "sysctl -qw net.ipv4.conf.all.forwarding=1") }, "somebody else has set it", false},
		{"of one device, as newer networkd does", func(t *testing.T) { run(t, "sysctl -qw net.ipv4.conf.lo.forwarding=1") }, "somebody else has set it", false},
		{"of devices that come", func(t *testing.T) { run(t, "echo 1 >/proc/sys/net/ipv4/conf/default/forwarding") }, "somebody else has set it", false},
		{"a bridge of containers", func(t *testing.T) { run(t, "ip link add docker0 type bridge") }, "docker0", false},
		{"a tunnel", func(t *testing.T) { device(t, "tun7") }, "tun7", false},
		{"masquerading", func(t *testing.T) {
			run(t, "nft add table ip lab; nft 'add chain ip lab post { type nat hook postrouting priority 100; }'")
		}, "ip lab post", false},
		{"iptables' masquerading", func(t *testing.T) { run(t, "iptables -t nat -A POSTROUTING -j MASQUERADE") }, "ip nat POSTROUTING", false},
		{"a firewall", func(t *testing.T) {
			run(t, "nft add table inet f; nft 'add chain inet f pass { type filter hook forward priority 0; policy drop; }'")
		}, "inet f pass", false},
	} {
		for _, crash := range []bool{false, true} {
			if crash && v.live {
				continue
			}
			name := v.name
			if crash {
				name += ", after a crash"
			}
			t.Run(name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "undo.json")
				inNamespace(t, func() {
					h := applied(t, file, testPlan())
					if h == nil {
						return
					}
					v.does(t)
					end := h.Close
					if crash {
						end = func() ([]string, error) { return Replay(file) }
					}
					left, err := end()
					if err != nil {
						t.Error(err)
					}
					if on, _ := Forwarding(); !on {
						t.Error("forwarding was turned off although others rely on it")
					}
					if said := strings.Join(left, "\n"); !strings.Contains(said, v.left) || !strings.Contains(said, "net.ipv4.ip_forward stays 1") {
						t.Errorf("said %q, want %q", said, v.left)
					}
					if got := tables(t); strings.Contains(strings.Join(got, " "), "adit_") {
						t.Errorf("tables = %v, want ours gone", got)
					}
				})
			})
		}
	}
}

// IPv6 as IPv4; and the host keeps the default route that it has of Router
// Advertisements as long as it forwards.
func TestForwardingOfIPv6ThatOthersRelyOnStaysOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		device(t, "adit0")
		device(t, "eth9")
		const ra = conf6 + "/eth9/accept_ra"
		if err := writeSysctl(ra, "1"); err != nil {
			t.Error(err)
		}
		h, err := Apply(file, plan6())
		if err != nil {
			t.Error(err)
			return
		}
		run(t, "sysctl -qw net.ipv6.conf.all.forwarding=1")
		left, err := h.Close()
		if err != nil {
			t.Error(err)
		}
		if sysctl(t, forwarding6) != "1" || sysctl(t, ra) != "2" {
			t.Errorf("forwarding is %s, accept_ra %s; want 1 and 2", sysctl(t, forwarding6), sysctl(t, ra))
		}
		if on, _ := Forwarding(); on {
			t.Error("IPv4 forwarding is still on, which nobody relies on")
		}
		if len(left) != 1 || !strings.Contains(left[0], "net.ipv6.conf.all.forwarding stays 1") {
			t.Errorf("said %q", left)
		}
	})
}

// A record of another namespace, or of this host before its last start, does not apply to
// this one.
func TestARecordFromElsewhereUndoesNothing(t *testing.T) {
	for _, elsewhere := range []string{"another-boot net:[1]", ""} {
		file := filepath.Join(t.TempDir(), "undo.json")
		inNamespace(t, func() {
			if err := writeSysctl(forwarding, "1"); err != nil {
				t.Error(err)
			}
			at, err := writtenAt(forwarding)
			if err != nil {
				t.Error(err)
			}
			r := record{Place: elsewhere, Device: "adit0", Sysctls: map[string]setting{forwarding: {Was: "0", Is: "1", Written: at}}}
			if err := r.save(file); err != nil {
				t.Error(err)
			}
			if left, err := Replay(file); err != nil || len(left) > 0 {
				t.Errorf("got %v, %v", left, err)
			}
			if on, _ := Forwarding(); !on {
				t.Error("forwarding was turned off by a record of another host")
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("the record is still there")
			}
		})
	}
}

// The record names only what this package changes: nobody can use the file to make root
// write elsewhere.
func TestARecordThatNamesAnythingElseIsRefused(t *testing.T) {
	here, err := place()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []record{
		{Device: "adit0", Sysctls: map[string]setting{"../../etc/passwd": {Was: "0", Is: "1"}}},
		{Device: "adit0", Sysctls: map[string]setting{"kernel/core_pattern": {Was: "0", Is: "1"}}},
		{Device: "adit0", Sysctls: map[string]setting{"net/ipv6/conf/../accept_ra": {Was: "0", Is: "1"}}},
		{Device: "adit0", Sysctls: map[string]setting{"net/ipv4/ip_forward\n": {Was: "0", Is: "1"}}},
		{Device: "adit0", Sysctls: map[string]setting{forwarding: {Was: "|/tmp/x", Is: "1"}}},
		{Device: "adit0", Sysctls: map[string]setting{forwarding: {Was: "0", Is: "1", Others: map[string]time.Time{"../../etc/shadow": {}}}}},
		{Device: "adit0", Along: map[string]string{"net/ipv4/conf/eth0/forwarding": "1\n2"}},
		{Device: "adit0", Along: map[string]string{"net/ipv4/conf/../../../tmp/forwarding": "1"}},
		{Device: "../../etc", Table: "adit_../../etc"},
		{Device: "adit0", Table: "adit_adit1"},
		{Device: "adit0", Table: "filter"},
	} {
		r.Place = here
		file := filepath.Join(t.TempDir(), "undo.json")
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Replay(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want an error that names the file", b, err)
		}
	}
}

// A network of one session is routed to the device and masqueraded, as long as
// somebody claims it.
func TestClaim(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		h := applied(t, file, plan6())
		if h == nil {
			return
		}
		link, err := netlink.LinkByName("adit0")
		if err != nil {
			t.Error(err)
			return
		}
		for _, text := range []string{"192.0.2.77/32", "198.51.100.0/24", "255.255.255.254/32", "2001:db8:77::/64"} {
			n := prefix(text)
			routed := func() bool {
				routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{LinkIndex: link.Attrs().Index}, netlink.RT_FILTER_OIF)
				if err != nil {
					t.Error(err)
				}
				for _, r := range routes {
					if r.Dst != nil && r.Dst.String() == ipNet(n).String() {
						return true
					}
				}
				return false
			}
			masqueraded := func() bool {
				out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
				if err != nil {
					t.Errorf("nft: %v\n%s", err, out)
				}
				return strings.Contains(string(out), strings.TrimSuffix(strings.TrimSuffix(text, "/32"), "/128"))
			}
			for range 2 {
				if err := h.Claim(n, ""); err != nil {
					t.Errorf("%v: %v", n, err)
				}
			}
			if !routed() || !masqueraded() {
				t.Errorf("%v: routed %v, masqueraded %v", n, routed(), masqueraded())
			}
			if err := h.Release(n, ""); err != nil || !routed() || !masqueraded() {
				t.Errorf("%v: gone while somebody claims it: %v", n, err)
			}
			if err := h.Release(n, ""); err != nil || routed() || masqueraded() {
				t.Errorf("%v: still there: %v", n, err)
			}
			if err := h.Release(n, ""); err != nil {
				t.Errorf("%v: released once more: %v", n, err)
			}
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
		wantClean(t, file)
	})
}

// A server that died between writing a sysctl and noting when has it changed
// back all the same.
func TestACrashRightAfterWriting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		h := applied(t, file, testPlan())
		if h == nil {
			return
		}
		s := h.undo.Sysctls[forwarding]
		s.Written = time.Time{}
		h.undo.Sysctls[forwarding] = s
		if err := h.undo.save(file); err != nil {
			t.Error(err)
		}
		if _, err := Replay(file); err != nil {
			t.Error(err)
		}
		wantClean(t, file)
	})
}
