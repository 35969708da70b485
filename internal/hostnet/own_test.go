package hostnet

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A network that a newer session has on another device leads there, and only there; if that
// device cannot be had, it leads where it has led.
func TestAClaimMovesToTheNewestDevice(t *testing.T) {
	inNamespace(t, func() {
		file := filepath.Join(t.TempDir(), "undo.json")
		h := applied(t, file, testPlan())
		if h == nil {
			return
		}
		for _, name := range []string{"adit0-a", "adit0-b"} {
			device(t, name)
			if link, err := netlink.LinkByName(name); err != nil || netlink.LinkSetUp(link) != nil {
				t.Error(err)
				return
			}
		}
		n := netip.MustParsePrefix("10.1.0.0/16")
		for _, step := range []struct {
			device string
			ok     bool
			want   string
		}{{"adit0-a", true, "adit0-a"}, {"adit0-b", true, "adit0-b"}, {"adit0-z", false, "adit0-b"}, {"", true, "adit0"}, {"adit0-a", true, "adit0-a"}} {
			if err := h.Claim(n, step.device); (err == nil) != step.ok {
				t.Errorf("%s: %v", step.device, err)
			}
			got := leadsTo(t, n)
			if !slices.Equal(got, []string{step.want}) {
				t.Errorf("claimed on %q: the network leads to %v, want %s", step.device, got, step.want)
			}
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// leadsTo are the devices that a network is routed to.
func leadsTo(t *testing.T, n netip.Prefix) (devices []string) {
	t.Helper()
	routes, err := netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Dst: ipNet(n)}, netlink.RT_FILTER_DST)
	if err != nil {
		t.Error(err)
	}
	for _, r := range routes {
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			devices = append(devices, l.Attrs().Name)
		}
	}
	return devices
}

// Whichever of the sessions that have a network ends first, it leads to the device of the
// newest that is left, also where devices have gone before.
func TestANetworkIsLedBack(t *testing.T) {
	inNamespace(t, func() {
		h := applied(t, filepath.Join(t.TempDir(), "undo.json"), testPlan())
		if h == nil {
			return
		}
		n := netip.MustParsePrefix("10.1.0.0/16")
		up := func(name string) {
			device(t, name)
			link, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(link)
			}
			if err != nil {
				t.Error(err)
			}
		}
		down := func(name string) {
			if link, err := netlink.LinkByName(name); err == nil {
				_ = netlink.LinkDel(link)
			}
		}
		before := routes(t) + masqueraded(t)
		// +x and -x: a session with the device adit0-x, "" for the common one, claims and
		// releases; !x: the device goes.
		for _, steps := range [][]struct{ do, want string }{
			{{"+a", "a"}, {"+b", "b"}, {"-b", "a"}, {"-a", ""}},
			{{"+a", "a"}, {"+b", "b"}, {"!b", ""}, {"-b", "a"}, {"-a", ""}},
			{{"+a", "a"}, {"+b", "b"}, {"-a", "b"}, {"-b", ""}},
			{{"+a", "a"}, {"+b", "b"}, {"+c", "c"}, {"-b", "c"}, {"!c", ""}, {"-c", "a"}, {"!a", ""}, {"-a", ""}},
			{{"+a", "a"}, {"+b", "b"}, {"+c", "c"}, {"!b", "c"}, {"-c", "a"}, {"-b", "a"}, {"-a", ""}},
			{{"+", "0"}, {"+b", "b"}, {"-b", "0"}, {"-", ""}},
			{{"+a", "a"}, {"+", "0"}, {"-", "a"}, {"-a", ""}},
			{{"+a", "a"}, {"+a", "a"}, {"-a", "a"}, {"+", "0"}, {"-a", "0"}, {"-", ""}},
			{{"+a", "a"}, {"-b", "a"}, {"-", "a"}, {"-a", ""}, {"-a", ""}},
			{{"+a", "a"}, {"+b", "b"}, {"!a", "b"}, {"!b", ""}, {"-b", ""}, {"-a", ""}},
		} {
			for _, name := range []string{"adit0-a", "adit0-b", "adit0-c"} {
				up(name)
			}
			for _, step := range steps {
				name := ""
				if step.do[1:] != "" {
					name = "adit0-" + step.do[1:]
				}
				var err error
				switch step.do[0] {
				case '+':
					err = h.Claim(n, name)
				case '-':
					err = h.Release(n, name)
				case '!':
					down(name)
				}
				var want []string
				switch step.want {
				case "":
				case "0":
					want = []string{"adit0"}
				default:
					want = []string{"adit0-" + step.want}
				}
				if got := leadsTo(t, n); err != nil || !slices.Equal(got, want) {
					t.Errorf("%v: after %s the network leads to %v, want %v (%v)", steps, step.do, got, want, err)
				}
			}
			for _, name := range []string{"adit0-a", "adit0-b", "adit0-c"} {
				down(name)
			}
			if after := routes(t) + masqueraded(t); after != before {
				t.Errorf("%v: there was\n%s\nand is\n%s", steps, before, after)
			}
		}
		if _, err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A device has what was said last, and nothing else.
func TestAWireHasWhatWasSaidLast(t *testing.T) {
	a := netip.MustParseAddr
	inNamespace(t, func() {
		device(t, "wire0")
		link, err := netlink.LinkByName("wire0")
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Error(err)
			return
		}
		for _, step := range []struct {
			wire Wire
			want []string // address, and its peer where it has one
			mtu  int
		}{
			{Wire{Local: a("10.83.0.1"), Peer: a("10.83.0.2"), MTU: 1300}, []string{"10.83.0.1 10.83.0.2"}, 1300},
			{Wire{Local: a("10.83.0.1"), Peer: a("10.83.0.2"), Local6: a("fe80::1"), Peer6: a("fe80::2"), MTU: 1280}, []string{"10.83.0.1 10.83.0.2", "fe80::1 fe80::2"}, 1280},
			{Wire{Local: a("10.83.0.1"), Peer: a("10.83.0.2"), Local6: a("fe80::1"), Peer6: a("fe80::2"), MTU: 1280}, []string{"10.83.0.1 10.83.0.2", "fe80::1 fe80::2"}, 1280},
			{Wire{Local: a("10.83.0.1"), Peer: a("10.83.0.9"), MTU: 1400}, []string{"10.83.0.1 10.83.0.9"}, 1400},
			{Wire{}, nil, 1400},
		} {
			if err := SetWire("wire0", step.wire); err != nil {
				t.Errorf("%+v: %v", step.wire, err)
				continue
			}
			list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
			if err != nil {
				t.Error(err)
				return
			}
			var got []string
			for _, have := range list {
				got = append(got, have.IP.String()+" "+have.Peer.IP.String())
			}
			slices.Sort(got)
			if !slices.Equal(got, step.want) {
				t.Errorf("%+v: the device has %v, want %v", step.wire, got, step.want)
			}
			if l, err := netlink.LinkByName("wire0"); err != nil || l.Attrs().MTU != step.mtu {
				t.Errorf("%+v: MTU %d, want %d (%v)", step.wire, l.Attrs().MTU, step.mtu, err)
			}
		}
		if err := SetWire("wire9", Wire{}); err == nil {
			t.Error("a device that is not there has got something")
		}
	})
}
