package vpn

import (
	"net/netip"
	"testing"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/l2tp"
)

// A connection has one protocol, once it has a tunnel of one kind.
func TestAConnectionCarriesOneProtocol(t *testing.T) {
	gre := &Bare{Admits: func(ike.Peer, netip.Addr) bool { return true }}
	gre.Encap.Protocol = 47
	for name, x := range map[string]struct {
		c    *Conn
		want map[uint8]bool
	}{
		"before there is a tunnel": {&Conn{}, map[uint8]bool{17: true, 47: true, 4: true}},
		"L2TP":                     {&Conn{control: control{tunnel: new(l2tp.Tunnel)}}, map[uint8]bool{17: true, 0: true, 47: false, 4: false}},
		"GRE":                      {&Conn{bare: &bare{Bare: gre}}, map[uint8]bool{17: false, 47: true, 4: false}},
	} {
		x.c.policy = &Policy{Bare: []*Bare{gre}}
		for protocol, want := range x.want {
			if got := x.c.takes(protocol); got != want {
				t.Errorf("%s: a pair of protocol %d is taken: %v", name, protocol, got)
			}
		}
		if got := x.c.bareOf(ike.Peer{}, 47) != nil; got != (x.c.tunnel == nil) {
			t.Errorf("%s: GRE may be negotiated: %v", name, got)
		}
		if x.c.bareOf(ike.Peer{}, 4) != nil {
			t.Errorf("%s: IP in IP may be negotiated, of which there is no tunnel", name)
		}
	}
}
