package hostnet

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func plan6() Plan {
	p := testPlan()
	p.Addresses = append(p.Addresses, netip.MustParsePrefix("2001:db8:1::1/48"))
	p.Routes = append(p.Routes, netip.MustParsePrefix("2001:db8:f000::/40"))
	p.Forward6 = true
	p.Masquerade6 = true
	return p
}

func sysctl(t *testing.T, name string) string {
	t.Helper()
	v, err := readSysctl(name)
	if err != nil {
		t.Error(err)
	}
	return v
}

func TestIPv6IsAppliedAndUndone(t *testing.T) {
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
		// A host that has its default route of a Router Advertisement keeps it.
		if sysctl(t, forwarding6) != "1" || sysctl(t, ra) != "2" {
			t.Errorf("forwarding is %s, accept_ra %s", sysctl(t, forwarding6), sysctl(t, ra))
		}
		for _, dst := range []string{"2001:db8:1:7::9", "2001:db8:f012::9"} {
			routes, err := netlink.RouteGet(net.ParseIP(dst))
			if link, _ := netlink.LinkByName("adit0"); err != nil || len(routes) != 1 || routes[0].LinkIndex != link.Attrs().Index {
				t.Errorf("%s is routed by %v, %v", dst, routes, err)
			}
		}
		wantRule6(t)
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
		wantClean(t, file)
		if sysctl(t, forwarding6) != "0" || sysctl(t, ra) != "1" {
			t.Errorf("after the end forwarding is %s, accept_ra %s", sysctl(t, forwarding6), sysctl(t, ra))
		}
	})
}

// wantRule6 wants IPv6 to be masqueraded.
func wantRule6(t *testing.T) {
	t.Helper()
	if rules := output(t, "nft list chain ip6 adit_adit0 postrouting"); !strings.Contains(rules, `ip6 saddr @clients oifname != "adit0" masquerade`) {
		t.Errorf("there is\n%s", rules)
	}
}

// A setting of a device that no longer exists does not keep the server from starting.
func TestADeviceThatIsGoneIsNotChangedBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		device(t, "adit0")
		device(t, "eth9")
		if err := writeSysctl(conf6+"/eth9/accept_ra", "1"); err != nil {
			t.Error(err)
		}
		if _, err := Apply(file, plan6()); err != nil { // and never Close
			t.Error(err)
			return
		}
		link, err := netlink.LinkByName("eth9")
		if err != nil {
			t.Error(err)
			return
		}
		if err := netlink.LinkDel(link); err != nil {
			t.Error(err)
		}
		if _, err := Replay(file); err != nil {
			t.Error(err)
		}
		wantClean(t, file)
	})
}

func TestAPool6ThatOverlapsAnotherDeviceIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "undo.json")
	inNamespace(t, func() {
		device(t, "adit0")
		device(t, "eth9")
		link, err := netlink.LinkByName("eth9")
		if err != nil {
			t.Error(err)
			return
		}
		addr := &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("2001:db8:1:7::5/64")), Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrAdd(link, addr); err != nil {
			t.Error(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Error(err)
		}
		_, err = Apply(file, plan6())
		if err == nil || !strings.Contains(err.Error(), "eth9") || !strings.Contains(err.Error(), "network.pool6") {
			t.Errorf("got %v; want the device and the key named", err)
		}
		wantClean(t, file)
	})
}
