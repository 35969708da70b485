package session

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/adit-vpn/adit/internal/pool"
)

// Shared is what all sessions of a server have in common.
type Shared struct {
	Pool      Pool // of IPv4 addresses
	Pool6     Pool // of IPv6 addresses, or of one /64 per session
	Delegate6 Pool // of prefixes for networks behind clients
	Registry  Registry
	Usages    Usages // nil: nobody has a quota of a day or a month
	Rand      io.Reader

	// Plan is the addressing plan in force: the host's addresses may have changed since a
	// connection began.
	Plan func() *pool.Plan
}

// Pool leases addresses, or prefixes identified by their first address: see package pool,
// whose errors it returns. It knows others by their names, "" for itself.
type Pool interface {
	LeaseOf(name, user string, static netip.Addr) (netip.Addr, error)
	Release(a netip.Addr)
	Of(a netip.Addr) netip.Prefix
}

// Registry knows how many sessions each user has, and which user has which addresses,
// IPv6 prefixes and networks behind clients.
type Registry interface {
	// Enter counts a session of user, if there are fewer than limit; with 0 there is no
	// limit.
	Enter(user string, limit int) bool
	// Leave undoes Enter.
	Leave(user string)
	// Hold makes a user the owner of all the networks, or of none. An error is an
	// *Overlap.
	Hold(user string, networks []netip.Prefix) error
	// Keep makes a user the owner of networks leased from a pool, which cannot belong to
	// anybody else.
	Keep(user string, networks []netip.Prefix)
	// Unhold undoes one Hold or Keep of each.
	Unhold(user string, networks []netip.Prefix)
}

// Overlap says, for the administrator, that another user has what a user was granted.
type Overlap struct {
	User, Other     string
	Network, Theirs netip.Prefix
	Leased          bool // a pool gave it to the other, whose grant does not name it; so with all that overlaps
}

func (o *Overlap) Error() string {
	return fmt.Sprintf("%s of the user %.64q overlaps %s, which the user %.64q has: give one of them another", shown(o.Network), o.User, shown(o.Theirs), o.Other)
}

// shown formats a network for people: a single address without its prefix length.
func shown(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Traffic counts what the data path carries for a session.
type Traffic interface{ Carried() Counters }

// Counters are the IP packets and bytes that a session has carried: In from the client,
// Out to it.
type Counters struct {
	InPackets, InOctets   uint64
	OutPackets, OutOctets uint64
}

// since is what was carried after before was read.
func (n Counters) since(before Counters) Counters {
	n.InPackets -= before.InPackets
	n.InOctets -= before.InOctets
	n.OutPackets -= before.OutPackets
	n.OutOctets -= before.OutOctets
	return n
}
