package vpn

import (
	"net/netip"
	"slices"
)

// owners records which user has which networks inside the VPN: addresses, IPv6 prefixes,
// and networks behind clients. The first owner keeps a network: one that equals, contains
// or is within another user's network is not granted. A user's own sessions may overlap,
// as with two routers to one network.
type owners struct {
	list    []owned       // by first address; for equal first addresses, the widest first
	lengths [2][129]int32 // the number of networks of each prefix length, for IPv4 and IPv6
}

// owned is one network of a user's session; an address is a network of size one.
type owned struct {
	network netip.Prefix
	user    string
	leased  bool // of a pool: no grant names it
}

func (h owned) compare(p netip.Prefix) int {
	if d := h.network.Addr().Compare(p.Addr()); d != 0 {
		return d
	}
	return h.network.Bits() - p.Bits()
}

func (t *owners) search(p netip.Prefix) int {
	i, _ := slices.BinarySearchFunc(t.list, p, owned.compare)
	return i
}

func (t *owners) count(p netip.Prefix) *int32 {
	if p.Addr().Is4() {
		return &t.lengths[0][p.Bits()]
	}
	return &t.lengths[1][p.Bits()]
}

// add makes a user own a network, and counts further sessions of that user.
func (t *owners) add(p netip.Prefix, user string, leased bool) {
	p = p.Masked()
	t.list = slices.Insert(t.list, t.search(p), owned{p, user, leased})
	*t.count(p)++
}

// remove undoes one add.
func (t *owners) remove(p netip.Prefix, user string) {
	p = p.Masked()
	for i := t.search(p); i < len(t.list) && t.list[i].network == p; i++ {
		if t.list[i].user == user {
			t.list = slices.Delete(t.list, i, i+1)
			*t.count(p)--
			return
		}
	}
}

// overlap finds another user's network that overlaps this one: one that was leased only if all
// of them were.
func (t *owners) overlap(p netip.Prefix, user string) (leased owned, found bool) {
	p = p.Masked()
	for bits := range p.Bits() {
		around := netip.PrefixFrom(p.Addr(), bits).Masked()
		if *t.count(around) == 0 {
			continue
		}
		for i := t.search(around); i < len(t.list) && t.list[i].network == around; i++ {
			if o := t.list[i]; o.user != user && !o.leased {
				return o, true
			} else if o.user != user {
				leased, found = o, true
			}
		}
	}
	for i := t.search(p); i < len(t.list) && p.Contains(t.list[i].network.Addr()); i++ {
		if o := t.list[i]; o.user != user && !o.leased {
			return o, true
		} else if o.user != user {
			leased, found = o, true
		}
	}
	return leased, found
}
