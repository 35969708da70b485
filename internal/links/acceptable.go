package links

import (
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/internal/session"
)

// acceptable refuses a call by which packets would go where they must not: what the other
// end says that it is may be this host, somebody else, or where it is reached itself.
func (l *one) acceptable(to session.Route) error {
	peer, remote := to.Wire.Peer, to.Wire.Remote
	if err := l.cfg.leadsIntoItself(remote); err != nil {
		return err
	}
	if own := to.Wire.Local; own.IsValid() {
		if other := l.m.callsTo(own, remote, l); other != nil {
			return fmt.Errorf("the other end of the link gives us the address %v inside, which is where the link %q is reached: set address and peer_address at both ends", own, other.cfg.Name)
		}
	}
	if !peer.IsValid() {
		return nil
	}
	const set = "set address and peer_address at both ends"
	switch other := l.m.reachedAt(peer, l); {
	case peer == remote:
		return fmt.Errorf("the other end of the link has the address %v inside, which is where it is reached: the link's own packets would go into the link; %s", peer, set)
	case l.m.cfg.Host.Owns(peer, l.cfg.Device):
		return fmt.Errorf("the other end of the link has the address %v inside, which is this host's: %s, or give one of the two ends another network.pool", peer, set)
	case other != nil:
		return fmt.Errorf("the other end of the link has the address %v inside, which is that of the other end of the link %q: %s", peer, other.cfg.Name, set)
	}
	return nil
}

// leadsIntoItself refuses a remote to which the link's own routes lead.
func (l *Link) leadsIntoItself(remote netip.Addr) error {
	for _, p := range l.Routes {
		if p.Contains(remote) {
			return fmt.Errorf("%w: the route %v leads the link's own remote, %v, into the link: name networks without it", errOwnRoute, p, remote)
		}
	}
	return nil
}

// reachedAt is another link that is up, and whose other end has an address inside; nil:
// there is none.
func (m *Manager) reachedAt(a netip.Addr, but *one) *one {
	for _, o := range m.all() {
		if at := o.peer.Load(); o != but && at != nil && *at == a {
			return o
		}
	}
	return nil
}

// callsTo is a link whose other end is reached at an address, as l is at remote: as an address
// of ours it would keep that link's own packets here. nil: there is none.
func (m *Manager) callsTo(a, remote netip.Addr, l *one) *one {
	if a == remote {
		return l
	}
	for _, o := range m.all() {
		if at := o.last.Load(); at != nil && *at == a {
			return o
		}
	}
	return nil
}

// dials notes where the link is dialled. It fails if another link is dialled there: of two
// calls between the same two hosts neither end could tell whose keys are renewed.
func (l *one) dials(to netip.Addr) error {
	l.m.dialled.Lock()
	defer l.m.dialled.Unlock()
	for _, o := range l.m.all() {
		if at := o.last.Load(); o != l && at != nil && *at == to && o.cfg.Bare == nil && l.cfg.Bare == nil {
			return fmt.Errorf("%w: its remote, %v, is that of the link %q, too: one link with the routes of both is needed", errOwnRoute, to, o.cfg.Name)
		}
	}
	l.last.Store(&to)
	return nil
}

// throughItself refuses a remote that is reached only through other links, of which one is
// reached through this one. None of them could ever be dialled.
func (l *one) throughItself(remote netip.Addr) error {
	path, to := "", remote
	for range l.m.all() {
		o := l.m.leadingTo(to, l)
		if o == nil {
			return nil
		}
		at := *o.last.Load()
		path += fmt.Sprintf("the link %q, whose remote, %v, is reached through ", o.cfg.Name, at)
		if l.cfg.leadsTo(at) {
			return fmt.Errorf("%w: its remote, %v, is reached through %sthis one", errOwnRoute, remote, path)
		}
		to = at
	}
	return nil
}

// leadingTo is another link that has been dialled, and whose routes lead to an address; nil:
// there is none.
func (m *Manager) leadingTo(a netip.Addr, but *one) *one {
	for _, o := range m.all() {
		if o != but && o.last.Load() != nil && o.cfg.leadsTo(a) {
			return o
		}
	}
	return nil
}
