package persona

import (
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/sim"
)

// serverBehindNAT makes a world whose server is behind a NAT, and an account that dials
// the NAT's address.
func serverBehindNAT(t *testing.T, p Profile) (*sim.World, Account) {
	n := udptest.New(1)
	nat := n.NAT("192.0.2.99")
	host := nat.Host("172.18.0.2")
	nat.Forward(portIKE, "172.18.0.2:500")
	nat.Forward(portNATT, "172.18.0.2:4500")
	a := accountOf(p)
	a.Server = netip.MustParseAddr("192.0.2.99")
	return sim.New(t, sim.Options{Net: n, Host: host, Policy: policyOf(p)}), a
}

func TestEveryClientConnectsAndLeaves(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		c := online(t, p, account, w.Net.Host("198.51.100.7"))
		passes(t, w, c, 1)
		passes(t, w, c, 3)
		leaves(t, w, c)
	})
}

func TestEveryClientConnectsFromBehindANAT(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w := sim.New(t, sim.Options{})
		c := online(t, p, account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
}

func TestEveryClientConnectsToAServerBehindANAT(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w, a := serverBehindNAT(t, p)
		c := online(t, p, a, w.Net.Host("198.51.100.7"))
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
}

func TestEveryClientConnectsThroughNATsAtBothEnds(t *testing.T) {
	each(t, func(t *testing.T, p Profile) {
		w, a := serverBehindNAT(t, p)
		c := online(t, p, a, w.Net.NAT("198.51.100.7").Host("192.168.1.10"))
		passes(t, w, c, 1)
		leaves(t, w, c)
	})
}
