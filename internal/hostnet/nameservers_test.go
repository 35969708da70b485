package hostnet

import (
	"net/netip"
	"slices"
	"testing"
)

func TestNameServersAreRead(t *testing.T) {
	got := nameServers("# of somebody\nsearch example.com\nnameserver 10.2.0.53\nnameserver  fe80::1%eth0 # a router\nnameserver\nnameserver none\n  nameserver 192.0.2.53\n")
	want := []netip.Addr{netip.MustParseAddr("10.2.0.53"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("192.0.2.53")}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
