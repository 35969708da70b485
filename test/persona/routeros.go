package persona

import (
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// RouterOSOptions are what an administrator chooses, and behaviour that nobody has seen
// on a wire.
type RouterOSOptions struct {
	Seven  bool // release 7, with a profile of AES-256 and SHA2-256
	DNS    bool // use-peer-dns
	NoIPv6 bool

	MPPE uint32 // bits that CCP asks for; 0: 128 bits, stateless
	BSD  bool   // CCP asks for BSD-Compress, too

	// The following has not been seen on a wire.
	Sparse     bool // SCCRQ has only the mandatory AVPs
	Ephemeral  bool // L2TP uses another port than 1701
	AnyPort    bool // IDci says port 0
	NoNATOA    bool
	GroupFirst bool // the position of the group among the attributes
	Length     bool // data messages have a length
	PFC        bool // it asks for protocol field compression, which release 6 misreads
	NoGoodbye  bool // PPP is not terminated on leaving
	Auth       [][]byte
}

// RouterOS is the L2TP client of a MikroTik router with "use IPsec".
func RouterOS(o RouterOSOptions) Profile {
	if o.MPPE == 0 {
		o.MPPE = 0x01000040
	}
	if o.Auth == nil {
		o.Auth = [][]byte{authMSCHAPv2, authCHAP, authPAP}
	}
	const life, child = 24 * time.Hour, 30 * time.Minute
	hash, enc, name := uint16(ikeSHA1), []suite{{ikeAES, 128, 0, 0}, {ike3DES, 0, 0, 0}}, "RouterOS 6"
	espHash := uint16(espSHA1)
	if o.Seven {
		hash, enc, name = ikeSHA256, []suite{{ikeAES, 256, 0, 0}}, "RouterOS 7"
		espHash = espSHA256
	}
	var list [][]byte
	for _, e := range enc {
		for _, group := range []uint16{14, 2} {
			a := append(append(wire.TV(11, 1), wire.TLV4(12, uint32(life/time.Second))...), wire.TV(1, e.enc)...)
			if e.bits != 0 {
				a = append(a, wire.TV(14, e.bits)...)
			}
			a = append(append(a, wire.TV(3, 1)...), wire.TV(2, hash)...)
			list = append(list, append(a, wire.TV(4, group)...))
		}
	}
	p := Profile{
		Name: name,
		IKE: IKEProfile{
			SA: phase1SA(list...), Vendors: routerVendors, Nonce: 24, IDProtocol: 17, IDPort: 500, InitialContact: ContactSeparate,
			Retry: seconds(10, 10, 10, 10, 10), DPD: true, RekeyOnNATT: true, Keepalive: 20 * time.Second, Life: life,
		},
		ESP: ESPProfile{
			SA: routerESP(uint16(child/time.Second), espHash, o.GroupFirst), Nonce: 24, Port: 1701, AnyPort: o.AnyPort, NATOA: !o.NoNATOA,
			Group: 2, Window: 32, KeepOld: 4 * time.Minute, Life: child, InnerChecksum: true,
		},
		L2TP: routerL2TP(o),
		PPP:  routerPPP(o),
		// With dpd-interval=2m, dead peer detection is used.
		After: func(c *Client) { c.probes(2 * time.Minute) },
		Leave: func(c *Client) { leaveRouterOS(c, o) },
	}
	if o.Ephemeral {
		p.ESP.Port = 0
	}
	return p
}

// routerVendors are the vendor IDs of the daemon from which RouterOS's is derived.
var routerVendors = [][]byte{
	vidRFC3947,
	vendor("8f8d83826d246b6fc7a8a6a428c11de8"), vendor("439b59f8ba676c4c7737ae22eab8f582"), vendor("4d1e0e136deafa34c4f3ea9f02ec7285"),
	vendor("80d0bb3def54565ee84645d4c85ce3ee"), vendor("9909b64eed937c6573de52ace952fa6b"), vendor("7d9419a65310ca6f2c179d9215529d56"),
	vidDraft02, vidDraft02n, vidDPD,
}

// routerESP offers AES with three key lengths, and perfect forward secrecy with the
// 1024-bit group.
func routerESP(life, hash uint16, groupFirst bool) func(mode uint16, spi uint32) []byte {
	return func(mode uint16, spi uint32) []byte {
		p := wire.Proposal{Number: 1, Protocol: 3, SPI: wire.U32(spi)}
		for i, bits := range []uint16{256, 192, 128} {
			a := append(append(wire.TV(1, 1), wire.TV(2, life)...), wire.TV(4, mode)...)
			rest := append(wire.TV(6, bits), wire.TV(5, hash)...)
			if group := wire.TV(3, 2); groupFirst {
				a = append(append(a, group...), rest...)
			} else {
				a = append(append(a, rest...), group...)
			}
			p.Transforms = append(p.Transforms, wire.Transform{Number: byte(i + 1), ID: espAES, Attributes: a})
		}
		return wire.SABody(p)
	}
}

func routerL2TP(o RouterOSOptions) L2TPProfile {
	p := L2TPProfile{
		SCCRQ: func(tunnel uint16) []wire.AVP {
			return []wire.AVP{
				wire.M(2, 1, 0), wire.M(3, wire.U32(1)...), wire.M(4, wire.U32(0)...), wire.O(6, 0, 1),
				wire.M(7, []byte("MikroTik")...), wire.O(8, []byte("MikroTik")...),
				wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(4)...),
			}
		},
		ICRQ: func(session uint16) []wire.AVP {
			return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(0)...), wire.M(18, wire.U32(2)...)}
		},
		ICCN:   []wire.AVP{wire.M(24, wire.U32(0)...), wire.M(19, wire.U32(1)...)},
		Tunnel: anyID, Session: func(*Client) uint16 { return 1 },
		Window: 4, Retry: seconds(1, 2, 4, 8, 8), Length: o.Length, Ack: 100 * time.Millisecond,
	}
	if o.Sparse {
		p.SCCRQ = func(tunnel uint16) []wire.AVP {
			return []wire.AVP{wire.M(2, 1, 0), wire.M(7, []byte("MikroTik")...), wire.M(3, wire.U32(1)...), wire.M(9, wire.U16(tunnel)...)}
		}
	}
	return p
}

func routerPPP(o RouterOSOptions) PPPProfile {
	zero := make([]byte, 4)
	p := PPPProfile{
		LCP:  []wire.Option{{Type: optMRU, Value: wire.U16(1450)}, {Type: optMagic, Value: zero}},
		IPCP: []wire.Option{{Type: optAddress, Value: zero}},
		IID:  func(c *Client) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, byte(1 + c.rand.IntN(255))} },
		CCP:  []wire.Option{{Type: 18, Value: wire.U32(o.MPPE)}},
		NCPs: []uint16{wire.IPCP, wire.IPV6CP, wire.MPLSCP, wire.CCP}, FirstID: 1,
		Auth: o.Auth, Retry: 3 * time.Second, Tries: 10, MRU: 1450, NoCompression: true,
		LCPRejects: []byte{optACCM, optPFC, optACFC},
	}
	if o.BSD {
		p.CCP = append(p.CCP, wire.Option{Type: 21, Value: []byte{0x2f}})
	}
	if o.NoIPv6 {
		p.NCPs = []uint16{wire.IPCP, wire.MPLSCP, wire.CCP}
	}
	if o.DNS {
		p.IPCP = append(p.IPCP, wire.Option{Type: optDNS1, Value: zero}, wire.Option{Type: optDNS2, Value: zero})
	}
	if o.PFC {
		p.LCP = append(p.LCP, wire.Option{Type: optPFC}, wire.Option{Type: optACFC})
		p.LCPRejects = nil
	}
	return p
}

// leaveRouterOS does what RouterOS does when the interface is disabled.
func leaveRouterOS(c *Client, o RouterOSOptions) {
	if !o.NoGoodbye {
		c.hangUp(nil, seconds(3, 3)...)
	}
	t := c.tun
	t.callUp = false
	c.order(t.distant, "CDN", wire.CDN, wire.M(1, 0, 3, 0, 0), wire.M(14, wire.U16(t.session)...))
	c.order(0, "StopCCN", wire.StopCCN, wire.M(9, wire.U16(t.local)...), wire.M(1, 0, 6, 0, 0))
	c.drained(10 * time.Second)
	t.closed = true
	c.stopIPsec()
}

// probes asks whether the server is alive (RFC 3706), and expects each answer within ten
// seconds.
func (c *Client) probes(every time.Duration) {
	c.probe = c.rand.Uint32() >> 1
	c.repeat(every, c.askLife)
}

// Ask asks at once whether the server is alive.
func (c *Client) Ask() { _ = c.do(c.askLife) }

func (c *Client) askLife() {
	p := c.current()
	c.probe++
	seq := c.probe
	body := append([]byte{0, 0, 0, 1, 1, 16}, wire.U16(wire.RUThere)...)
	body = append(append(append(body, p.ci[:]...), p.cr[:]...), wire.U32(seq)...)
	before := len(c.stats.Acks)
	c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: body})
	c.after(10*time.Second, func() {
		if c.Lossless && c.online() && !p.gone && (len(c.stats.Acks) == before || c.stats.Acks[len(c.stats.Acks)-1] != seq) {
			c.refuse("R-U-THERE %d was not answered with its number (RFC 3706 section 5.4)", seq)
		}
	})
}
