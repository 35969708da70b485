package session

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dhcp"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/pool"
)

// Policy is what a session's user may have, and what clients are told. It is immutable.
type Policy struct {
	IPv6     *IPv6 // the server's side for clients that have IPv6; nil: IPv6 is off
	Networks []pool.Network
	Foreign  []pool.Foreign // what no client can have: the host's, the RADIUS servers'
	Settings auth.Settings  // what clients are told
	Groups   map[string]auth.Profile
	Filters  map[string]limit.Filter // by the names that grants have for them
	MTU      int                     // limit for the inner IP packets of a session, bytes

	Identity auth.Identity
	Preempt  bool // who has an address by name gets it where a pool has given it to others, whose sessions end

	SessionsPerUser int           // 0: no limit
	Replace         bool          // beyond it the oldest session ends; otherwise the new one is refused
	InterimInterval time.Duration // between accounting records; 0: none in between
}

// IPv6 is what a server that offers IPv6 uses on its clients' links.
type IPv6 struct {
	Server netip.Addr // our global address
}

// duid is our DHCPv6 identifier, which stays the same after a restart.
func (x *IPv6) duid() []byte { return dhcp.DUID(x.Server.String()) }

// network returns the configured network that contains a client's address, or else a
// network of that address alone with the server's address of the first one.
func (p *Policy) network(a netip.Addr) pool.Network {
	for _, n := range p.Networks {
		if n.Prefix.Contains(a) {
			return n
		}
	}
	n := pool.Network{Prefix: netip.PrefixFrom(a, a.BitLen())}
	if len(p.Networks) > 0 {
		n.Server = p.Networks[0].Server
	}
	return n
}
