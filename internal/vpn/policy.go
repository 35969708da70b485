package vpn

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Policy is what a server allows. It is immutable: SetPolicy exchanges it as a
// whole, and connections use the one that was in force when they began.
type Policy struct {
	IKE  *ike.Policy
	L2TP *l2tp.Config
	PPP  *ppp.Config

	IPv6 *IPv6 // what we are to clients that have IPv6; nil: none has

	GroupL2TP map[string]*l2tp.Config // of groups with a tunnel secret of their own

	ReplayWindow int // packets
	Networks     []Network
	Own          []netip.Addr             // of the server's host: no client can have them
	Settings     auth.Settings            // what clients are told
	Groups       map[string]auth.Settings // and those of a group
	MTU          int                      // ceiling of what goes through a session, bytes of inner IP

	Connections       int // how many peers at once
	HalfOpen          int // records of unauthenticated exchanges
	HalfOpenPerSource int // of them, from one IPv4 address or IPv6 /64
	SessionsPerUser   int // 0: no limit

	SetupTimeout    time.Duration // from phase 1 to ESP, and again to a user
	AuthTimeout     time.Duration // for one verdict
	DrainTimeout    time.Duration // for goodbyes
	InterimInterval time.Duration // accounting; 0: none
	DeadPeer        time.Duration // a silent peer is given up within; 0: dead peer detection asks nobody
	Keepalive       time.Duration // NAT keepalive (RFC 3948, section 4); 0: none

	KeyLog KeyLog // nil: none
}

// Network is a pool's network and the server's own address in it.
type Network struct {
	Prefix netip.Prefix
	Server netip.Addr
}

// KeyLog receives the keys that decrypt a capture. It is for the
// administrator's debugging; its use is logged.
type KeyLog interface {
	IKE(initiator [8]byte, key secret.Bytes)
	// ESP has the keys of one direction. HMAC-SHA2-256 may be cut to 96 bits.
	ESP(src, dst netip.Addr, spi uint32, suite ike.ESPSuite, cut bool, keys ike.ChildKeys)
}

// judgeRoutes says, for the administrator, which of a user's routes would take
// what is others': every address, or those that the pools lease. It returns ""
// if none does.
func (p *Policy) judgeRoutes(routes []netip.Prefix) string {
	for _, r := range routes {
		a := r.Addr()
		if r.Bits() == 0 || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			return fmt.Sprintf("the route %v of the user is none that a client can have", r)
		}
		for _, n := range p.Networks {
			if n.Prefix.IsValid() && n.Prefix.Overlaps(r) {
				return fmt.Sprintf("the route %v of the user overlaps network.pool %v, whose addresses are others'", r, n.Prefix)
			}
		}
	}
	return ""
}

// tunnel is how a tunnel is made with who proved to be of a group, "" for any.
func (p *Policy) tunnel(group string) *l2tp.Config {
	if own := p.GroupL2TP[group]; own != nil {
		return own
	}
	return p.L2TP
}

// network returns the network of a client's address, or one of that address
// alone, with the server's address in the first.
func (p *Policy) network(a netip.Addr) Network {
	for _, n := range p.Networks {
		if n.Prefix.Contains(a) {
			return n
		}
	}
	n := Network{Prefix: netip.PrefixFrom(a, a.BitLen())}
	if len(p.Networks) > 0 {
		n.Server = p.Networks[0].Server
	}
	return n
}
