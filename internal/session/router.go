package session

import (
	"errors"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/internal/dhcp"
	"github.com/adit-vpn/adit/internal/ndp"
)

// Intervals of unsolicited Router Advertisements (RFC 4861, section 6.2.4): short at
// first, in case one is lost, and then so long that clients may sleep.
const (
	initialAdvertisements = 3
	initialInterval       = 5 * time.Second
	leastInterval         = 400 * time.Second
	routerLifetime        = 30 * time.Minute
)

// advertise sends a Router Advertisement to all nodes, and schedules the next one.
func (s *Session) advertise(now time.Time) {
	x := &s.st.six
	s.sendIP(s.router().Advertise(ndp.AllNodes))
	if x.sent++; x.sent < initialAdvertisements {
		x.next = now.Add(initialInterval)
		return
	}
	// Spread over time: "to reduce the chance of synchronization".
	x.next = now.Add(leastInterval + time.Duration(s.env.Number%200)*time.Second)
}

// router is the content of Router Advertisements to a session's client. If there are
// networks for split tunnelling, we are the router for these alone.
func (s *Session) router() *ndp.Router {
	told, x := s.settings(), &s.st.six
	r := &ndp.Router{
		LinkLocal: x.server, Global: s.env.Policy.IPv6.Server, Lifetime: routerLifetime,
		Managed: x.Address.IsValid(), Other: told.Domain != "" || len(ipv6(told.DNS)) > 0,
		Prefix: x.Prefix, Preferred: dhcp.Preferred6, Valid: dhcp.Valid6,
		DNS: told.DNS, Domain: told.Domain, Told: routerLifetime,
	}
	if x.mtu >= minMTU6 {
		r.MTU = x.mtu
	}
	if len(told.Split) > 0 {
		r.Lifetime = 0
		r.Routes = told.Split
		for _, n := range s.env.Policy.Networks {
			r.Routes = append(r.Routes[:len(r.Routes):len(r.Routes)], n.Prefix) // no IPv4 networks
		}
	}
	return r
}

// receive6 answers an IPv6 packet of a session that is addressed to its router.
func (s *Session) receive6(b []byte) (answer []byte, err error) {
	x := &s.st.six
	if !x.up {
		return nil, dhcp.ErrIgnored
	}
	answer, err = s.router().Answer(b)
	if !errors.Is(err, ndp.ErrIgnored) {
		return answer, err
	}
	told := s.settings()
	return dhcp.Answer6(b, dhcp.Settings6{
		DUID: s.env.Policy.IPv6.duid(), Server: x.server, Address: x.Address, Prefix: x.Delegated, DNS: told.DNS, Domain: told.Domain,
	})
}

// ipv6 are the IPv6 addresses of a list.
func ipv6(list []netip.Addr) (six []netip.Addr) {
	for _, a := range list {
		if a.Is6() {
			six = append(six, a)
		}
	}
	return six
}
