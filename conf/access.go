package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// AllServices, in network.host_access, is every service of the host.
const AllServices = "all"

// Protocol is a transport protocol, by its number in the IP header.
type Protocol uint8

// The transport protocols of services.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprint(uint8(p))
}

// Service is an element of network.host_access: a transport protocol and its ports,
// or all services.
type Service struct {
	Protocol    Protocol
	First, Last uint16
	All         bool // "all"
}

// UnmarshalText reads "tcp/22", "udp/8000-8010" or "all".
func (s *Service) UnmarshalText(text []byte) error {
	if string(text) == AllServices {
		*s = Service{All: true}
		return nil
	}
	bad := fmt.Errorf(`%q is not a service such as "tcp/22" or "udp/8000-8010", nor "all"`, text)
	name, ports, ok := strings.Cut(string(text), "/")
	protocol, known := map[string]Protocol{"tcp": TCP, "udp": UDP}[name]
	if !ok || !known {
		return bad
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return bad
	}
	*s = Service{Protocol: protocol, First: uint16(a), Last: uint16(b)}
	return nil
}

// String is the text that the service is read from.
func (s Service) String() string {
	switch {
	case s.All:
		return AllServices
	case s == Service{}:
		return ""
	case s.First == s.Last:
		return fmt.Sprintf("%v/%d", s.Protocol, s.First)
	}
	return fmt.Sprintf("%v/%d-%d", s.Protocol, s.First, s.Last)
}

// MarshalText implements encoding.TextMarshaler.
func (s Service) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Has reports whether a port is the service's.
func (s Service) Has(p Protocol, port uint16) bool {
	return s.All || s.Protocol == p && s.First <= port && port <= s.Last
}

// validateAccess checks network.inbound and network.host_access.
func validateAccess(d *decoder, n *Network) {
	if n.Mode == TAP {
		for key, some := range map[string]bool{"network.host_access": len(n.HostAccess) > 0, "network.inbound": len(n.Inbound) > 0} {
			if some {
				d.fail(key, `needs mode = "tun": in mode "tap" clients are hosts of the office network, which reach others and are reached as its other hosts are`)
			}
		}
		return
	}
	for i, p := range n.Inbound {
		d.noHostBits(fmt.Sprintf("network.inbound[%d]", i), p)
	}
}

// noHostBits refuses a network that is written as an address in it.
func (d *decoder) noHostBits(key string, p netip.Prefix) {
	if p != p.Masked() {
		d.fail(key, `"%v" has bits behind the prefix: write %v`, p, p.Masked())
	}
}

// ReachesAll reports whether clients reach every service of the host.
func (n *Network) ReachesAll() bool {
	return slices.ContainsFunc(n.HostAccess, func(s Service) bool { return s.All })
}
