package persona

import (
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// authEAP is the value of LCP's authentication option that RRAS begins with.
var authEAP = []byte{0xc2, 0x27}

// ServerOptions are what the administrator of a router sets that is called.
type ServerOptions struct {
	Address, Caller netip.Addr // inside, its own and what it gives to who calls
	Self            bool       // it authenticates itself, if it is asked to
}

// RRASServer is a Windows Server with a demand-dial interface, which is called. What is known
// of its IKE is its vendor IDs, and of L2TP its SCCRP; its PPP proposes EAP first, and takes
// MS-CHAPv2 in its place. The rest is as its client is.
func RRASServer(o ServerOptions) Profile {
	p := RRAS(RRASOptions{NoMulti: true})
	p.Name, p.Router = "RRAS, called", true
	p.IKE.RefusesNATedServer = false
	p.PPP.NCPs, p.PPP.CCP = []uint16{wire.IPV6CP, wire.CCP}, []wire.Option{{Type: 18, Value: wire.U32(1)}}
	p.Answers = &Answers{
		IKE: func(s wire.Suite) bool {
			return s.Encryption == ikeAES && s.KeyLength != 192 && (s.Hash == ikeSHA1 || s.Hash == ikeSHA256) && (s.Group == 14 || s.Group == 19 || s.Group == 20 || s.Group == 2)
		},
		ESP: func(s wire.ESPSuite) bool { return s.Transform == espAES && s.KeyLength != 192 && s.Auth == espSHA1 },
		SCCRP: func(tunnel uint16) []wire.AVP {
			return []wire.AVP{
				wire.M(2, 1, 0), wire.M(3, wire.U32(1)...), wire.M(4, wire.U32(0)...), wire.O(6, wire.U16(0x0a00)...),
				wire.M(7, []byte("HEAD-ROUTER")...), wire.O(8, []byte("Microsoft")...),
				wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(8)...),
			}
		},
		ICRP: func(session uint16) []wire.AVP { return []wire.AVP{wire.M(14, wire.U16(session)...)} },
		LCP: []wire.Option{
			{Type: optMRU, Value: wire.U16(1400)}, {Type: optAuth, Value: authEAP}, {Type: optMagic, Value: make([]byte, 4)}, {Type: optPFC}, {Type: optACFC},
		},
		Self: o.Self, Address: o.Address, Caller: o.Caller,
	}
	return p
}

// RouterOSServer is the L2TP server of a MikroTik router with "use IPsec", whose profile and
// proposal are the default ones. It does not authenticate itself.
func RouterOSServer(o ServerOptions) Profile {
	p := RouterOS(RouterOSOptions{})
	p.Name, p.Router, p.After = "RouterOS 6, called", true, nil
	p.PPP.NCPs = []uint16{wire.MPLSCP, wire.CCP}
	p.Answers = &Answers{
		IKE: func(s wire.Suite) bool {
			return (s.Encryption == ikeAES && s.KeyLength == 128 || s.Encryption == ike3DES) && s.Hash == ikeSHA1 && (s.Group == 14 || s.Group == 2)
		},
		ESP: func(s wire.ESPSuite) bool { return s.Transform == espAES && s.Auth == espSHA1 },
		SCCRP: func(tunnel uint16) []wire.AVP {
			return []wire.AVP{
				wire.M(2, 1, 0), wire.M(3, wire.U32(1)...), wire.M(4, wire.U32(0)...), wire.O(6, 0, 1),
				wire.M(7, []byte("MikroTik")...), wire.O(8, []byte("MikroTik")...),
				wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(4)...),
			}
		},
		ICRP:    func(session uint16) []wire.AVP { return []wire.AVP{wire.M(14, wire.U16(session)...)} },
		LCP:     []wire.Option{{Type: optMRU, Value: wire.U16(1450)}, {Type: optAuth, Value: authMSCHAPv2}, {Type: optMagic, Value: make([]byte, 4)}},
		Address: o.Address, Caller: o.Caller,
	}
	p.ESP.Life = 30 * time.Minute
	return p
}
