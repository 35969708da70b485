package vpn

import (
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/ppp"
)

// Somebody who has the pre-shared key can name tunnels all day. Each name costs a search
// through all connections, under the lock that every handshake takes. So only a few are
// searched for, found or not.
func TestTunnelsThatAreNotTheirsAreSearchedForAFewTimes(t *testing.T) {
	s := New(Config{Policy: &Policy{PPP: &ppp.Config{Methods: []ppp.Method{ppp.MethodMSCHAPv2}}, HalfOpen: 10, HalfOpenPerSource: 10}, Observer: &refusals{}})
	now := time.Unix(1e9, 0)
	conn := func(remote string) *Conn {
		c := s.newConn(now, ike.Path{Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort(remote)})
		c.kids.sending = &pair{}
		c.identity(ike.Peer{PSK: "psk[0]"}, c.path.Remote.Addr())
		return c
	}
	owner, other := conn("198.51.100.1:4500"), conn("198.51.100.2:4500")
	owner.show(&Status{held: held{tunnel: 77, user: "alice", method: auth.MSCHAPv2}})
	named := func(id byte) []byte { return []byte{0xc8, 2, 0, 12, 0, id, 0, 0, 0, 0, 0, 0} }
	if fresh := conn("198.51.100.3:4500"); !fresh.claimTunnel(now, 0, named(77)) || fresh.claim == nil {
		t.Fatal("a tunnel that there is was not found: the test proves nothing")
	}
	for range maxClaims {
		if other.claimTunnel(now, 0, named(5)) {
			t.Error("a tunnel that there is not was found")
		}
	}
	if other.claimTunnel(now, 0, named(77)) {
		t.Errorf("after %d names it searched again", maxClaims)
	}
}
