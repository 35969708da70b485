package persona

import (
	"net/netip"
	"strings"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// LCP options of multilink: RFC 1990 section 5.1 and RFC 2125 section 2.4.
const (
	optMRRU     = 17
	optEndpoint = 19
	optLinkID   = 23
)

// RRASOptions are behaviour that nobody has seen on the wire of a demand-dial interface.
type RRASOptions struct {
	Address   netip.Addr // the address that it asks for; invalid: none of its own
	Mutual    bool       // it asks the server to authenticate itself
	NoMulti   bool       // multilink is switched off
	Kilobytes int        // 0: 250,000
	Length    bool       // data messages have a length
	NoDNS     bool
	IPv6Last  bool

	Certificate bool // of the machine, instead of a pre-shared key
}

// RRAS is a Windows Server that dials on demand, used as a router.
func RRAS(o RRASOptions) Profile {
	p := Windows10(WindowsOptions{Computer: "BRANCH-ROUTER", Length: o.Length, Kilobytes: o.Kilobytes, Certificate: o.Certificate})
	p.Name = strings.Replace(p.Name, "Windows 10", "RRAS", 1)
	if !o.NoMulti {
		guid := unhex("0102030405060708 090a0b0c0d0e0f10 00000000")
		p.PPP.LCP = append(p.PPP.LCP,
			wire.Option{Type: optMRRU, Value: wire.U16(1614)},
			wire.Option{Type: optEndpoint, Value: append([]byte{1}, guid...)}, // endpoint discriminator
			wire.Option{Type: optLinkID, Value: []byte{0, 1}})                 // link discriminator
	}
	if o.Mutual {
		p.PPP.LCP = append(p.PPP.LCP, wire.Option{Type: optAuth, Value: authMSCHAPv2})
	}
	if o.Address.IsValid() {
		p.PPP.IPCP[0].Value = o.Address.AsSlice()
	}
	if o.NoDNS {
		p.PPP.IPCP = p.PPP.IPCP[:1]
	}
	opened := p.PPP.Opened
	p.PPP.Opened = func(c *Client) {
		for _, x := range c.link.cps[wire.LCP].want {
			switch x.Type {
			case optMRRU:
				c.refuse("the server agreed to multilink: its frames come in fragments from now on (RFC 1990 section 5.1.1)")
			case optAuth:
				c.challenge()
			}
		}
		opened(c)
	}
	if o.IPv6Last {
		p.PPP.NCPs = []uint16{wire.IPCP, wire.IPV6CP}
	}
	return p
}
