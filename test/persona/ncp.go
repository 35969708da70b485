package persona

import (
	"bytes"
	"net/netip"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// IPCP options of RFC 1332 and RFC 1877.
const (
	optVJ      = 2
	optAddress = 3
	optDNS1    = 0x81
	optNBNS1   = 0x82
	optDNS2    = 0x83
	optNBNS2   = 0x84
)

// ncp prepares a network control protocol.
func (c *Client) ncp(protocol uint16) {
	switch protocol {
	case wire.IPCP:
		s := c.newCP(protocol, "IPCP", c.PPP.IPCP)
		s.judge = c.judgeIPCP
		s.open = func() { c.addresses(s) }
	case wire.IPV6CP:
		s := c.newCP(protocol, "IPV6CP", []wire.Option{{Type: 1, Value: c.PPP.IID(c)}})
		s.judge = func(list []wire.Option) (byte, []wire.Option) {
			if len(list) != 1 || list[0].Type != 1 || len(list[0].Value) != 8 || bytes.Equal(list[0].Value, make([]byte, 8)) {
				c.refuse("the server's IPV6CP must ask for an interface identifier, not %v", list)
			}
			c.link.peerV6 = bytes.Clone(list[0].Value)
			return wire.ConfAck, nil
		}
		s.open = func() { c.solicit(3) }
	case wire.ACSCP:
		c.newCP(protocol, "ACSCP", c.PPP.ACSCP).judge = acknowledge
	case wire.MPLSCP: // RFC 3032 section 4.3
		c.newCP(protocol, "MPLSCP", nil).judge = acknowledge
	case wire.CCP:
		c.newCP(protocol, "CCP", c.PPP.CCP).judge = c.judgeCCP
	}
}

func acknowledge([]wire.Option) (byte, []wire.Option) { return wire.ConfAck, nil }

// judgeIPCP answers the server's request.
func (c *Client) judgeIPCP(list []wire.Option) (byte, []wire.Option) {
	var rejected []wire.Option
	for _, o := range list {
		switch o.Type {
		case optAddress:
			if bytes.Equal(o.Value, make([]byte, 4)) {
				c.refuse("the server asks for an address of its own instead of naming it")
			}
			continue
		case optDNS1, optDNS2, optNBNS1, optNBNS2:
			if c.PPP.NoDNSInReq {
				c.refuse("the server's own Configure-Request has DNS options, which it rejects")
			}
		}
		rejected = append(rejected, o)
	}
	if rejected != nil {
		return wire.ConfRej, rejected
	}
	return wire.ConfAck, nil
}

// addresses reads what IPCP agreed on.
func (c *Client) addresses(s *cp) {
	l := c.link
	l.addr, l.dns = netip.Addr{}, nil
	for _, o := range s.want {
		if len(o.Value) != 4 {
			continue
		}
		a := netip.AddrFrom4([4]byte(o.Value))
		switch o.Type {
		case optAddress:
			l.addr = a
		case optDNS1, optDNS2:
			l.dns = append(l.dns, a)
		}
		if a.IsUnspecified() {
			c.refuse("the server acknowledged 0.0.0.0 for IPCP option %d", o.Type)
		}
	}
	if !l.addr.IsValid() {
		c.refuse("IPCP opened without an address")
	}
}
