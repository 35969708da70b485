package vpn

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/dhcp"
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
	if len(s.Domain) > maxDomain {
		return fmt.Sprintf("the domain of the user is longer than %d characters", maxDomain)
	}
	return ""
}

// maxDomain bounds a domain that comes from a server.
const maxDomain = 253

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
		c.observe(PacketRefused{c.who(), LayerPPP, err})
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
