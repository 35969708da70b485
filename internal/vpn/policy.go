package vpn

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Policy is what a server allows. It is immutable: SetPolicy replaces it as a whole, and
// a connection keeps the policy that was in force when it began.
type Policy struct {
	session.Policy // what a session's user may have, and what clients are told

	IKE  *ike.Policy
	L2TP *l2tp.Config
	PPP  *ppp.Config

	GroupL2TP map[string]*l2tp.Config // for groups with a tunnel secret of their own

	Bare []*Bare // tunnels without L2TP, which their other ends may begin

	ReplayWindow int // packets

	Connections       int // the most peers at one time
	HalfOpen          int // the most records of unauthenticated exchanges
	StrangerMemory    int // memory for all unauthenticated peers together, bytes; 0: 64 MiB
	HalfOpenPerSource int // the most of HalfOpen from one IPv4 address or IPv6 /64

	SetupTimeout time.Duration // from phase 1 to ESP, and from there to a user
	AuthTimeout  time.Duration // the most time for one verdict
	DrainTimeout time.Duration // the most time for goodbyes
	DeadPeer     time.Duration // limit for a silent peer; 0: dead peer detection asks nobody
	Keepalive    time.Duration // NAT keepalive (RFC 3948, section 4); 0: none

	KeyLog KeyLog // nil: none
}

// KeyLog receives the keys that decrypt a capture. It is for the
// administrator's debugging; its use is logged.
type KeyLog interface {
	IKE(initiator [8]byte, key secret.Bytes)
	// ESP writes the keys of one direction. With cut, HMAC-SHA2-256 is truncated to 96
	// bits.
	ESP(src, dst netip.Addr, spi uint32, suite ike.ESPSuite, cut bool, keys ike.ChildKeys)
}

// tunnel is the L2TP configuration for a peer that proved to be of this group, "" for
// none.
func (p *Policy) tunnel(group string) *l2tp.Config {
	if own := p.GroupL2TP[group]; own != nil {
		return own
	}
	return p.L2TP
}
