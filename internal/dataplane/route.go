package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync/atomic"
)

// ErrTaken says that a prefix is routed to another session.
var ErrTaken = errors.New("dataplane: the prefix is routed to another session")

// target is where a destination leads.
type target struct {
	slot    *Slot
	session *Session
}

// routes finds the session of a destination. Reads take no lock; changes come
// one at a time, under the plane's lock.
type routes struct {
	pools  []poolRoutes
	others prefixRoutes
}

// poolRoutes has an entry for each address of an IPv4 pool, in pages that are
// made when they are first needed.
type poolRoutes struct {
	prefix netip.Prefix
	first  uint32
	pages  []atomic.Pointer[routePage]
}

type routePage [256]atomic.Pointer[target]

// prefixRoutes is for longest-prefix match. It is in parts, each of which is
// immutable: a change copies one of them, however many sessions have prefixes.
type prefixRoutes struct {
	lengths atomic.Pointer[[2][]int] // of IPv4 and IPv6 prefixes, the longest first
	parts   [routeParts]atomic.Pointer[map[netip.Prefix]*target]
	counts  [2][129]int // of prefixes by length
}

const routeParts = 1024

func (r *routes) init(pools []netip.Prefix) {
	for _, p := range pools {
		if p = p.Masked(); p.Addr().Is4() {
			r.pools = append(r.pools, poolRoutes{
				prefix: p,
				first:  v4(p.Addr()),
				pages:  make([]atomic.Pointer[routePage], (uint64(1)<<(32-p.Bits())+255)/256),
			})
		}
	}
	r.others.lengths.Store(new([2][]int))
}

func v4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// lookup returns where the destination leads, nil for nowhere.
func (r *routes) lookup(dst netip.Addr) *target {
	if dst.Is4() {
		for i := range r.pools {
			if p := &r.pools[i]; p.prefix.Contains(dst) {
				if t := p.lookup(v4(dst) - p.first); t != nil {
					return t
				}
			}
		}
	}
	return r.others.lookup(dst)
}

func (p *poolRoutes) lookup(n uint32) *target {
	if page := p.pages[n>>8].Load(); page != nil {
		return page[n&255].Load()
	}
	return nil
}

func (t *prefixRoutes) lookup(dst netip.Addr) *target {
	for _, bits := range t.lengths.Load()[family(dst)] {
		prefix, err := dst.Prefix(bits)
		if err != nil {
			continue
		}
		if to := t.get(prefix); to != nil {
			return to
		}
	}
	return nil
}

// part is where a prefix is found: neighbouring ones differ in few bits.
func (t *prefixRoutes) part(p netip.Prefix) *atomic.Pointer[map[netip.Prefix]*target] {
	b := p.Addr().As16()
	h := binary.BigEndian.Uint64(b[:])*0x9e3779b97f4a7c15 ^ binary.BigEndian.Uint64(b[8:])*0xc2b2ae3d27d4eb4f ^ uint64(p.Bits())
	return &t.parts[h>>32%routeParts]
}

func (t *prefixRoutes) get(p netip.Prefix) *target {
	if part := t.part(p).Load(); part != nil {
		return (*part)[p]
	}
	return nil
}

// set makes p lead to a target, nil for nowhere.
func (t *prefixRoutes) set(p netip.Prefix, to *target) {
	part := t.part(p)
	next := map[netip.Prefix]*target{}
	if old := part.Load(); old != nil {
		maps.Copy(next, *old)
	}
	change := -1
	if to != nil {
		change = 1
	}
	if was := next[p] != nil; was == (to != nil) {
		change = 0
	}
	if to == nil {
		delete(next, p)
	} else {
		next[p] = to
	}
	part.Store(&next)
	t.count(p, change)
}

// count keeps the list of lengths that there are.
func (t *prefixRoutes) count(p netip.Prefix, change int) {
	f := family(p.Addr())
	n := &t.counts[f][p.Bits()]
	was := *n
	if *n += change; (was == 0) == (*n == 0) {
		return
	}
	next := *t.lengths.Load()
	next[f] = nil
	for bits := 128; bits >= 0; bits-- {
		if t.counts[f][bits] > 0 {
			next[f] = append(next[f], bits)
		}
	}
	t.lengths.Store(&next)
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Route leads packets for a prefix to a session. It fails with ErrTaken where
// another session has the same prefix.
func (p *Plane) Route(prefix netip.Prefix, slot *Slot, s *Session) error {
	if !prefix.IsValid() {
		return fmt.Errorf("dataplane: %v is not a prefix", prefix)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	prefix = prefix.Masked()
	if old := p.routes.exact(prefix); old != nil && old.session != s {
		return fmt.Errorf("%w: %v", ErrTaken, prefix)
	}
	p.routes.set(prefix, &target{slot, s})
	return nil
}

// Reroute leads packets for a prefix to a session, wherever they have led so far.
func (p *Plane) Reroute(prefix netip.Prefix, slot *Slot, s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.routes.set(prefix.Masked(), &target{slot, s})
}

// Unroute takes the route of a prefix away, if it leads to the session.
func (p *Plane) Unroute(prefix netip.Prefix, s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	prefix = prefix.Masked()
	if old := p.routes.exact(prefix); old != nil && old.session == s {
		p.routes.set(prefix, nil)
	}
}

// pool returns the pool and the entry of a prefix that is one of its
// addresses.
func (r *routes) pool(prefix netip.Prefix) (*poolRoutes, uint32) {
	if !prefix.Addr().Is4() || !prefix.IsSingleIP() {
		return nil, 0
	}
	for i := range r.pools {
		if p := &r.pools[i]; p.prefix.Contains(prefix.Addr()) {
			return p, v4(prefix.Addr()) - p.first
		}
	}
	return nil, 0
}

func (r *routes) exact(prefix netip.Prefix) *target {
	if p, n := r.pool(prefix); p != nil {
		return p.lookup(n)
	}
	return r.others.get(prefix)
}

func (r *routes) set(prefix netip.Prefix, to *target) {
	if p, n := r.pool(prefix); p != nil {
		page := p.pages[n>>8].Load()
		if page == nil {
			page = new(routePage)
			p.pages[n>>8].Store(page)
		}
		page[n&255].Store(to)
		return
	}
	r.others.set(prefix, to)
}
