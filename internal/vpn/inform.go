package vpn

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dhcp"
	"github.com/adit-vpn/adit/internal/packet"
)

// settings are what the session's client is told: its user's, else its group's,
// else the server's.
func (s *session) settings() auth.Settings {
	p := s.conn.policy
	return s.grant.Or(p.Groups[s.grant.Group]).Or(p.Settings)
}

// judgeSettings says, for the administrator, what of a grant cannot be told to
// a client, or "". The configuration was judged when it was read.
func judgeSettings(s auth.Settings) string {
	if n := dhcp.RoutesLen(s.Split); n > dhcp.MaxRoutes {
		return fmt.Sprintf("the %d networks for split tunnelling of the user take %d bytes of the %d that a DHCP option has: name larger ones", len(s.Split), n, dhcp.MaxRoutes)
	}
	if six := len(s.Split) - count4(s.Split); six > maxRoutes6 {
		return fmt.Sprintf("the %d IPv6 networks for split tunnelling of the user are more than the %d that a Router Advertisement has room for: name larger ones", six, maxRoutes6)
	}
	if s.Domain != "" && (packet.Labels(s.Domain) == nil || strings.ContainsFunc(s.Domain, notOfNames)) {
		return "the domain of the user is no name that a client could use: write one such as corp.example.com"
	}
	return ""
}

// maxRoutes6 of 24 bytes leave a Router Advertisement room for the rest below
// the least MTU.
const maxRoutes6 = 32

func count4(list []netip.Prefix) (n int) {
	for _, p := range list {
		if p.Addr().Is4() {
			n++
		}
	}
	return n
}

// notOfNames reports whether a domain cannot have r: clients write it into
// files and registries.
func notOfNames(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// receivePacket answers an IP packet of a session that is for the server.
func (c *Conn) receivePacket(now time.Time, local uint16, b []byte) {
	s := c.call(local)
	if s == nil || !s.up {
		return
	}
	if c.dialer != nil {
		if c.dialer.Packets != nil {
			c.dialer.Packets(b)
		}
		return
	}
	var answer []byte
	var err error
	if b[0]>>4 == 6 {
		answer, err = c.receive6(s, b)
	} else if answer, err = dhcp.Inform(b, c.informed(s)); err == nil {
		c.observe(Noted{c.who(), LayerPPP, "DHCPINFORM answered", ""})
	}
	switch {
	case err == nil:
		c.sendIP(now, s, answer)
	case !errors.Is(err, dhcp.ErrIgnored):
		c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
	}
}

// informed is what DHCPINFORM tells a session's client.
func (c *Conn) informed(s *session) dhcp.Settings {
	told := s.settings()
	network := c.policy.network(s.address)
	return dhcp.Settings{
		Server: network.Server, Client: s.address, Bits: network.Prefix.Bits(),
		DNS: told.DNS, Domain: told.Domain, Routes: told.Split, MTU: c.policy.MTU,
	}
}

// sendIP sends one IP packet of our own to a session's client.
func (c *Conn) sendIP(now time.Time, s *session, b []byte) {
	protocol := byte(0x21) // RFC 1332, section 2
	if b[0]>>4 == 6 {
		protocol = 0x57 // RFC 5072, section 2
	}
	c.sendFrame(now, s, append([]byte{0xff, 0x03, 0, protocol}, b...))
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
