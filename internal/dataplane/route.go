package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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
	others atomic.Pointer[prefixRoutes]
}

// poolRoutes has an entry for each address of an IPv4 pool, in pages that are
// made when they are first needed.
type poolRoutes struct {
	prefix netip.Prefix
	first  uint32
	pages  []atomic.Pointer[routePage]
}

type routePage [256]atomic.Pointer[target]

// prefixRoutes is an immutable table for longest-prefix match.
type prefixRoutes struct {
	lengths [2][]int // of IPv4 and IPv6 prefixes, the longest first
	targets map[netip.Prefix]*target
}

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
	r.others.Store(&prefixRoutes{})
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
	return r.others.Load().lookup(dst)
}

func (p *poolRoutes) lookup(n uint32) *target {
	if page := p.pages[n>>8].Load(); page != nil {
		return page[n&255].Load()
	}
	return nil
}

func (t *prefixRoutes) lookup(dst netip.Addr) *target {
	for _, bits := range t.lengths[family(dst)] {
		prefix, err := dst.Prefix(bits)
		if err != nil {
			continue
		}
		if to := t.targets[prefix]; to != nil {
			return to
		}
	}
	return nil
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
		return fmt.Errorf("dataplane: %v is no prefix", prefix)
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
	return r.others.Load().targets[prefix]
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
	old := r.others.Load()
	next := &prefixRoutes{targets: make(map[netip.Prefix]*target, len(old.targets)+1)}
	for k, v := range old.targets {
		next.targets[k] = v
	}
	if to == nil {
		delete(next.targets, prefix)
	} else {
		next.targets[prefix] = to
	}
	for k := range next.targets {
		f := family(k.Addr())
		if !slices.Contains(next.lengths[f], k.Bits()) {
			next.lengths[f] = append(next.lengths[f], k.Bits())
		}
	}
	for f := range next.lengths {
		slices.SortFunc(next.lengths[f], func(a, b int) int { return b - a })
	}
	r.others.Store(next)
}
