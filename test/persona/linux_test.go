package persona

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/persona/wire"
	"github.com/adit-vpn/adit/test/sim"
)

// desktops are the clients of Linux and ChromeOS.
var desktops = []func() Profile{
	func() Profile { return NetworkManager(NetworkManagerOptions{}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{KL2TPD: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{Libreswan: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{Libreswan: true, KL2TPD: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{Userspace: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{Ephemeral: true}) },
	func() Profile { return NetworkManager(NetworkManagerOptions{NoIPv6: true}) },
	func() Profile { return ChromeOS(ChromeOSOptions{Echo: true, DefaultsFirst: true}) },
	func() Profile {
		return named("ChromeOS, length bit", ChromeOS(ChromeOSOptions{Length: true}))
	},
}

// This is what a traced xl2tpd sent, without its name and tunnel id.
func TestXL2TPDsFirstMessageIsTheOneThatIsSeen(t *testing.T) {
	p := xl2tpd(xl2tpdOptions{host: "abc", window: 8})
	m := wire.Control{AVPs: append([]wire.AVP{wire.M(0, 0, wire.SCCRQ)}, p.SCCRQ(0x1234)...)}
	want := unhex(`
		c8020064 00000000 00000000
		8008 0000 0000 0001
		8008 0000 0002 0100
		800a 0000 0003 00000003
		800a 0000 0004 00000000
		0008 0000 0006 0690
		8009 0000 0007 616263
		0013 0000 0008 78656c6572616e63652e636f6d
		8008 0000 0009 1234
		8008 0000 000a 0008`)
	if got := m.Marshal(); !bytes.Equal(got, want) {
		t.Errorf("it is\n%x, want\n%x", got, want)
	}
}

// Real daemons with these settings send messages of these lengths. test/real compares
// them, too.
func TestLinuxMessagesHaveTheLengthsThatAreSeen(t *testing.T) {
	for _, test := range []struct {
		p    Profile
		want []int
	}{
		{NetworkManager(NetworkManagerOptions{}), []int{532, 396, 92, 268, 76}},
		{NetworkManager(NetworkManagerOptions{Libreswan: true}), []int{416, 396, 76, 524, 76}},
	} {
		t.Run(test.p.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := sim.New(t, sim.Options{})
				x := &tap{from: netip.MustParseAddr("198.51.100.7")}
				w.Net.SetPolicy(udptest.Policy{Drop: x.drop})
				online(t, test.p, account, w.Net.Host("198.51.100.7"))
				if got := x.isakmp(); !slices.Equal(got, test.want) {
					t.Errorf("its ISAKMP messages have %d bytes, want %d", got, test.want)
				}
			})
		})
	}
}
