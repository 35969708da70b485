package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/hostnet"
	"github.com/adit-vpn/adit/internal/netdev"
)

// checkLinks looks what the names of links' remotes are, and at the networks of this host.
func checkLinks(ctx context.Context, c *conf.Config) (list []Finding) {
	if len(c.Links)+len(c.Tunnels) > 0 {
		list = append(list, Finding{What: "no device of this host has the name of a link's or a tunnel's", Err: checkDevices(c)})
	}
	for i := range c.Links {
		l := &c.Links[i]
		list = append(list, Finding{What: "link " + l.Name + " leads to networks of the other end", Err: checkLinkRoutes(l)})
		list = append(list, Finding{What: "link " + l.Name + " is dialled without what is behind it", Err: checkNameServers(l, hostnet.NameServers())})
		list = append(list, checkWithin(l)...)
		for _, remote := range l.Remote {
			addresses, err := resolve(ctx, remote)
			if err != nil {
				list = append(list, Finding{What: "link " + l.Name + ": its remote does not resolve, and is asked for again when it is dialled: " + err.Error(), Warning: true})
				continue
			}
			list = append(list, Finding{What: fmt.Sprintf("link %s: its remote %v is outside of the link", l.Name, remote), Err: checkRemote(l, addresses)})
		}
	}
	return list
}

// checkDevices refuses names of links and tunnels whose devices this host has otherwise.
func checkDevices(c *conf.Config) error {
	var errs []error
	add := func(key string, i int, device string) {
		if err := netdev.Taken(device); err != nil {
			errs = append(errs, fmt.Errorf("%s[%d].name: %w", key, i, err))
		}
	}
	for i := range c.Links {
		add("link", i, c.Links[i].Device())
	}
	for i := range c.Tunnels {
		add("tunnel", i, c.Tunnels[i].Name)
	}
	return errors.Join(errs...)
}

// checkRemote refuses routes of a link that lead its remote into the link.
func checkRemote(l *conf.Link, addresses []netip.Addr) error {
	for _, p := range l.Routes {
		for _, a := range addresses {
			if p.Contains(a.Unmap()) {
				return fmt.Errorf("the route %v leads the link's own remote, %v, into the link: name networks without it", p, a.Unmap())
			}
		}
	}
	return nil
}

// checkWithin warns of routes that lead a part of this host's own networks into a link.
func checkWithin(l *conf.Link) (list []Finding) {
	all, _ := hostAddresses(l.Device()) // checkLinkRoutes says if they are not known
	for _, own := range all {
		for _, p := range l.Routes {
			if own.Bits() < p.Bits() && own.Contains(p.Addr()) {
				list = append(list, Finding{What: fmt.Sprintf("link %s: the route %v is a part of %v, the network of %s: hosts there with such addresses are cut off", l.Name, p, own.Masked(), own.device), Warning: true})
			}
		}
	}
	return list
}

// checkLinkRoutes refuses routes and addresses of the other end that are this host's own.
func checkLinkRoutes(l *conf.Link) error {
	all, err := hostAddresses(l.Device())
	errs := []error{err}
	for _, own := range all {
		if own.Addr() == l.PeerAddress {
			errs = append(errs, fmt.Errorf("peer_address %v is this host's, on %s", own.Addr(), own.device))
		}
		for _, p := range l.Routes {
			if own.Masked() == p {
				errs = append(errs, fmt.Errorf("the route %v is the network of %s on this host", p, own.device))
			}
		}
	}
	return errors.Join(errs...)
}

// checkNameServers refuses a link whose remote is a name that is asked for through the link
// itself: it could never be dialled.
func checkNameServers(l *conf.Link, servers []netip.Addr) error {
	named := false
	for _, r := range l.Remote {
		named = named || r.Name != ""
	}
	for _, s := range servers {
		for _, p := range l.Routes {
			if named && p.Contains(s) {
				return fmt.Errorf("the route %v leads the host's name server, %v, into the link, and what is dialled is a name: write its address, or name networks without that server", p, s)
			}
		}
	}
	return nil
}
