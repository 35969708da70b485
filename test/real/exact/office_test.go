//go:build real

package exact

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/adit-vpn/adit/test/real/lab"
)

// The office: a bridge, on which the server's host is the gateway.
const (
	officeLAN     = "192.168.50.0/24"
	officeGateway = "192.168.50.1"
	officeConfig  = `mode = "tap"
bridge = "office"
lan = "192.168.50.0/24"
gateway = "192.168.50.1"
pool = ["192.168.50.200-192.168.50.250"]`
)

func makeOffice(t *testing.T) {
	t.Helper()
	for _, command := range []string{
		"link add office type bridge forward_delay 0",
		"addr add " + officeGateway + "/24 dev office",
		"link set office up",
	} {
		if err := ip("-n " + nsServer + " " + command); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := ip("-n " + nsServer + " link del office"); err != nil {
			t.Error(err)
		}
	})
}

// meetNeighbour has client and gateway exchange a packet, so that each side
// knows the other's hardware address, and notes what to send to the client's.
func (one *student) meetNeighbour(t *testing.T) {
	t.Helper()
	h := header{src: one.four, dst: netip.MustParseAddr(officeGateway), protocol: protoICMP, ttl: 64}
	one.device.Inject(0, h.packet([]byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}))
	if !lab.Wait(10*time.Second, func() bool { b := one.device.Poll(); return b != nil && b[9] == protoICMP }) {
		t.Fatal("the gateway does not answer")
	}
	var bridge netlink.Link
	var neighbours []netlink.Neigh
	err := lab.In(nsServer, func() (err error) {
		if bridge, err = netlink.LinkByName("office"); err != nil {
			return err
		}
		neighbours, err = netlink.NeighList(bridge.Attrs().Index, netlink.FAMILY_V4)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range neighbours {
		if n.IP.Equal(net.IP(one.four.AsSlice())) {
			one.ether = fmt.Appendf(nil, "%s%s\x08\x00", []byte(n.HardwareAddr), []byte(bridge.Attrs().HardwareAddr))
		}
	}
	if len(one.ether) != etherLen {
		t.Fatalf("the gateway does not know %v", one.four)
	}
}
