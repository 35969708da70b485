package persona

import (
	"net/netip"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// RRASOptions are what nobody has seen on a wire of a demand-dial interface.
type RRASOptions struct {
	Address  netip.Addr // that it asks for; invalid: none of its own
	Mutual   bool       // it asks the server to prove who it is
	NoMulti  bool       // multilink is switched off
	Length   bool       // data messages have a length
	NoDNS    bool
	IPv6Last bool
}

// RRAS is a Windows Server that dials on demand, as a router.
func RRAS(o RRASOptions) Profile {
	p := Windows10(WindowsOptions{Computer: "BRANCH-ROUTER", Length: o.Length})
	p.Name = "RRAS"
	if !o.NoMulti {
		guid := unhex("0102030405060708 090a0b0c0d0e0f10 00000000")
		p.PPP.LCP = append(p.PPP.LCP,
			wire.Option{Type: 17, Value: wire.U16(1614)},             // MRRU
			wire.Option{Type: 19, Value: append([]byte{1}, guid...)}, // endpoint discriminator
			wire.Option{Type: 23, Value: []byte{0, 1}})               // link discriminator
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
	if o.IPv6Last {
		p.PPP.NCPs = []uint16{wire.IPCP, wire.IPV6CP}
	}
	return p
}
