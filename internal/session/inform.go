package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dhcp"
	"github.com/adit-vpn/adit/internal/packet"
)

// settings are what the session's client is told: the settings of its user, otherwise
// those of the user's group, otherwise the server's.
func (s *Session) settings() auth.Settings {
	p := s.env.Policy
	return s.st.grant.Or(p.Groups[s.st.grant.Group].Settings).Or(p.Settings)
}

// ownDevice reports whether every session of a group has a device of its own.
func (p *Policy) ownDevice(group string) bool {
	return p.Groups[group].OwnDevice || p.Settings.OwnDevice
}

// judgeSettings describes, for the administrator, what in a grant cannot be told to a
// client; "" if there is nothing. The configured settings were already checked when they
// were read.
func judgeSettings(s auth.Settings) string {
	if n := dhcp.RoutesLen(s.Split); n > dhcp.MaxRoutes {
		return fmt.Sprintf("the %d networks for split tunnelling of the user take %d bytes of the %d that a DHCP option has: name larger ones", len(s.Split), n, dhcp.MaxRoutes)
	}
	if six := len(s.Split) - count4(s.Split); six > maxRoutes6 {
		return fmt.Sprintf("the %d IPv6 networks for split tunnelling of the user are more than the %d that a Router Advertisement has room for: name larger ones", six, maxRoutes6)
	}
	if s.Domain != "" && (packet.Labels(s.Domain) == nil || strings.ContainsFunc(s.Domain, notOfNames)) {
		return "the domain of the user is not a name that a client could use: write one such as corp.example.com"
	}
	return ""
}

// maxRoutes6, at 24 bytes each, leave room for the rest of a Router Advertisement within
// the minimum MTU.
const maxRoutes6 = 32

func count4(list []netip.Prefix) (n int) {
	for _, p := range list {
		if p.Addr().Is4() {
			n++
		}
	}
	return n
}

// notOfNames reports whether r must not occur in a domain: clients write domains into
// files and registries.
func notOfNames(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// HandleIP answers an IP packet from the client that is addressed to the server: DHCP and
// neighbour discovery. An error says why it was dropped.
func (s *Session) HandleIP(b []byte) error {
	if !s.st.up {
		return nil
	}
	var answer []byte
	var err error
	if b[0]>>4 == 6 {
		answer, err = s.receive6(b)
	} else if answer, err = dhcp.Inform(b, s.informed()); err == nil {
		s.note("DHCPINFORM answered", "")
	}
	switch {
	case err == nil:
		s.sendIP(answer)
	case errors.Is(err, dhcp.ErrIgnored):
		return nil
	}
	return err
}

// informed is the answer to a DHCPINFORM of the session's client.
func (s *Session) informed() dhcp.Settings {
	told := s.settings()
	network := s.env.Policy.network(s.st.address)
	return dhcp.Settings{
		Server: network.Server, Client: s.st.address, Bits: network.Prefix.Bits(),
		DNS: told.DNS, Domain: told.Domain, Routes: told.Split, MTU: s.env.Policy.MTU,
	}
}

// ipv4 are the IPv4 addresses of a list.
func ipv4(list []netip.Addr) []netip.Addr {
	var four []netip.Addr
	for _, a := range list {
		if a.Is4() {
			four = append(four, a)
		}
	}
	return four
}
