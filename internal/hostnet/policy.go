package hostnet

import "net/netip"

// Policy says what may pass between clients, others and the host itself, besides what
// clients ask for and the answers to that.
type Policy struct {
	Inbound []netip.Prefix // networks whose hosts may open connections to clients

	Services    []Service    // of the host, which clients reach
	AllServices bool         // clients reach all of them
	DNS         []netip.Addr // addresses of the host that are clients' name servers

	Isolated bool // clients do not reach each other

	OwnDevices bool // some clients have devices of their own: see OwnDevice
}

// OwnDevice is what the names of clients' own devices begin with, where device is that of
// the others.
func OwnDevice(device string) string { return device + "-" }

// devices are the clients': names, or with an asterisk what names begin with.
func (p *Policy) devices(device string) []string {
	if !p.OwnDevices {
		return []string{device}
	}
	return []string{device, OwnDevice(device) + "*"}
}

// Service is a service of the host: a transport protocol and its ports.
type Service struct {
	Protocol    uint8 // of IP: TCP or UDP
	First, Last uint16
}

// inbound are the networks of a family that may open connections to clients.
// all says that every network may.
func (p *Policy) inbound(six bool) (networks []netip.Prefix, all bool) {
	for _, n := range p.Inbound {
		if n.Addr().Is6() != six {
			continue
		}
		if n.Bits() == 0 {
			return nil, true
		}
		networks = append(networks, n.Masked())
	}
	return outermost(networks), false
}
