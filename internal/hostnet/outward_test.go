package hostnet

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// Of many addresses one is what others reach the host by.
func TestTheOutwardAddress(t *testing.T) {
	const card = "ip link add type veth peer name far; ip link set veth0 name card; ip addr add 192.0.2.7/24 dev card; ip link set card up; ip link set far up"
	const docker = "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up"
	const libvirt = "ip link add virbr0 type bridge; ip addr add 192.168.122.1/24 dev virbr0; ip link set virbr0 up"
	const own = "ip tuntap add adit0 mode tun; ip addr add 10.83.0.1/16 dev adit0; ip link set adit0 up"
	for name, tc := range map[string]struct {
		setUp []string
		want  string
	}{
		"beside Docker's, libvirt's and its own": {[]string{docker, libvirt, own, card, "ip route add default via 192.0.2.1"}, "192.0.2.7"},
		"the source that the route names":        {[]string{card, "ip addr add 198.51.100.9/32 dev card", "ip route add default via 192.0.2.1 src 198.51.100.9"}, "198.51.100.9"},
		"the better of two default routes": {[]string{card, own, "ip link add veth2 type veth peer name far2; ip link set veth2 name two; ip link set far2 up; ip addr add 203.0.113.5/24 dev two; ip link set two up",
			"ip route add default via 203.0.113.1 metric 100", "ip route add default via 192.0.2.1 metric 50"}, "192.0.2.7"},
		"an office bridge with the default route": {[]string{docker, card, "ip addr flush dev card; ip link add br0 type bridge; ip link set card master br0; ip addr add 192.0.2.8/24 dev br0; ip link set br0 up",
			"ip route add default via 192.0.2.1"}, "192.0.2.8"},
		"several paths": {[]string{card, "ip link add veth2 type veth peer name far2; ip link set veth2 name two; ip link set far2 up; ip addr add 203.0.113.5/24 dev two; ip link set two up",
			"ip route add default nexthop via 192.0.2.1 dev card nexthop via 203.0.113.1 dev two"}, "192.0.2.7"},
		"a default route by the own device": {[]string{own, docker, "ip route add default dev adit0"}, "invalid IP"},
		"IPv6 alone":                        {[]string{docker, own, "ip link add veth2 type veth peer name far2; ip link set veth2 name six; ip link set far2 up; ip link set six up; ip addr add 2001:db8::7/64 dev six nodad; ip -6 route add default via 2001:db8::1 dev six"}, "2001:db8::7"},
		"no default route, and no card":     {[]string{docker, libvirt, own}, "invalid IP"},
	} {
		inNamespace(t, func() {
			for _, line := range tc.setUp {
				for command := range strings.SplitSeq(line, "; ") {
					run(t, command)
				}
			}
			if got, err := Outward("adit0"); err != nil || got.String() != tc.want {
				t.Errorf("%s: %v, %v, want %s", name, got, err, tc.want)
			}
		})
	}
}

func TestABridgeThatIsNone(t *testing.T) {
	inNamespace(t, func() {
		run(t, "ip link add br0 type bridge")
		for name, want := range map[string]string{"br0": "", "br1": "correct network.bridge", "lo": "not a bridge"} {
			if err := CheckBridge(name); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	})
}

// Without a default route, what is a network card or made of one.
func TestWhatLeadsOutside(t *testing.T) {
	link := func(index, master int) netlink.LinkAttrs { return netlink.LinkAttrs{Index: index, MasterIndex: master} }
	links := []netlink.Link{
		&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1, Flags: net.FlagLoopback}},
		&netlink.Device{LinkAttrs: link(2, 0)},
		&netlink.Vlan{LinkAttrs: link(3, 6)},
		&netlink.Bond{LinkAttrs: link(4, 0)},
		&netlink.Bridge{LinkAttrs: link(5, 0)}, // Docker's
		&netlink.Veth{LinkAttrs: link(7, 5)},
		&netlink.Bridge{LinkAttrs: link(6, 0)}, // the office's
		&netlink.Tuntap{LinkAttrs: link(8, 0)},
		&netlink.Wireguard{LinkAttrs: link(9, 0)},
		&netlink.Dummy{LinkAttrs: link(10, 0)},
	}
	var got []int
	for _, l := range links {
		if leadsOutside(l, links) {
			got = append(got, l.Attrs().Index)
		}
	}
	if want := []int{2, 3, 4, 6}; !slices.Equal(got, want) {
		t.Errorf("devices %v, want %v", got, want)
	}
}
