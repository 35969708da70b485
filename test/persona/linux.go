package persona

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// The vendor ID of draft-ietf-ipsra-isakmp-xauth-06, of 8 bytes.
var vidXAuth = vendor("09002689dfd6b712")

// suite is a cipher, its key length in bits (0: the cipher has only one), a hash and a
// group, as RFC 2409's numbers.
type suite struct{ enc, bits, hash, group uint16 }

// duration encodes an attribute in the shortest form (RFC 2408 section 3.3).
func duration(t uint16, v uint32) []byte {
	if v < 1<<16 {
		return wire.TV(t, uint16(v))
	}
	return wire.TLV4(t, v)
}

// charonSA encodes phase 1 as strongSwan does: one proposal, and in each transform the
// algorithms, the method and the lifetime, in this order.
func charonSA(life uint32, list ...suite) []byte {
	var all [][]byte
	for _, s := range list {
		a := wire.TV(1, s.enc)
		if s.bits != 0 {
			a = append(a, wire.TV(14, s.bits)...)
		}
		a = append(append(a, wire.TV(2, s.hash)...), wire.TV(4, s.group)...)
		a = append(append(a, wire.TV(3, 1)...), wire.TV(11, 1)...)
		all = append(all, append(a, duration(12, life)...))
	}
	return phase1SA(all...)
}

// espSuite is a cipher with its key length in bits, and a hash, 0 where the
// cipher authenticates, by RFC 2407's numbers.
type espSuite struct {
	id         byte
	bits, hash uint16
}

// charonESP encodes Quick Mode as strongSwan does: one proposal, and in each transform
// key length, hash, mode and lifetime, in this order.
func charonESP(life uint32, list ...espSuite) func(mode uint16, spi uint32) []byte {
	return func(mode uint16, spi uint32) []byte {
		p := wire.Proposal{Number: 1, Protocol: 3, SPI: wire.U32(spi)}
		for i, s := range list {
			var a []byte
			if s.bits != 0 {
				a = wire.TV(6, s.bits)
			}
			if s.hash != 0 {
				a = append(a, wire.TV(5, s.hash)...)
			}
			a = append(append(a, wire.TV(4, mode)...), wire.TV(1, 1)...)
			p.Transforms = append(p.Transforms, wire.Transform{Number: byte(i + 1), ID: s.id, Attributes: append(a, duration(2, life)...)})
		}
		return wire.SABody(p)
	}
}

// ESP transforms of RFC 2407 section 4.4.4 and RFC 4106.
const (
	esp3DES = 3
	espAES  = 12
	espGCM  = 20 // with an ICV of 16 bytes
)

// charon is what every configuration of strongSwan has in common.
func charon() IKEProfile {
	return IKEProfile{
		Vendors: [][]byte{vidXAuth, vidDPD, append(bytes.Clone(vidFragments), 0x80, 0, 0, 0), vidRFC3947, vidDraft02n},
		Nonce:   32,
		Retry: []time.Duration{ // 4 s, then 1.8 times the last each time
			4 * time.Second, 7200 * time.Millisecond, 12960 * time.Millisecond,
			23328 * time.Millisecond, 41990 * time.Millisecond, 75583 * time.Millisecond,
		},
		DPD: true, RekeyOnNATT: true, AlwaysPads: true, Keepalive: 20 * time.Second,
	}
}

// xl2tpdOptions are what xl2tpd's configuration determines.
type xl2tpdOptions struct {
	host   string
	window uint16
	speed  uint32 // bits a second
	length bool   // data messages have a length

	// mandatoryRx: the receive speed has the M bit, as in old releases.
	mandatoryRx bool
}

// xl2tpd is the control connection of xl2tpd as a LAC.
func xl2tpd(o xl2tpdOptions) L2TPProfile {
	serial := new(atomic.Uint32) // shared by clients with the same profile
	rx := wire.O(38, wire.U32(o.speed)...)
	rx.Mandatory = o.mandatoryRx
	return L2TPProfile{
		SCCRQ: func(tunnel uint16) []wire.AVP {
			return []wire.AVP{
				wire.M(2, 1, 0), wire.M(3, wire.U32(3)...), wire.M(4, wire.U32(0)...), wire.O(6, 0x06, 0x90),
				wire.M(7, []byte(o.host)...), wire.O(8, []byte("xelerance.com")...),
				wire.M(9, wire.U16(tunnel)...), wire.M(10, wire.U16(o.window)...),
			}
		},
		ICRQ: func(session uint16) []wire.AVP {
			return []wire.AVP{wire.M(14, wire.U16(session)...), wire.M(15, wire.U32(serial.Add(1))...), wire.M(18, wire.U32(0)...)}
		},
		ICCN:   []wire.AVP{wire.M(24, wire.U32(o.speed)...), wire.M(19, wire.U32(1)...), rx},
		Tunnel: anyID, Session: anyID,
		Window: int(o.window), Retry: seconds(1, 2, 4, 8, 16), Length: o.length,
	}
}

// pppdOptions are what pppd's configuration determines.
type pppdOptions struct {
	mru uint16
	// kernel: frames go through the kernel's L2TP, whose plugin asks for no header
	// compression. Otherwise they go through a pseudo-terminal.
	kernel bool
	ipv6   bool
	start  time.Duration // the time that it needs to start
}

// pppd is the link of pppd without MPPE, without CCP, with the peer's DNS.
func pppd(o pppdOptions) PPPProfile {
	zero := make([]byte, 4)
	p := PPPProfile{
		LCP:  []wire.Option{{Type: optMRU, Value: wire.U16(o.mru)}, {Type: optACCM, Value: zero}, {Type: optMagic, Value: zero}},
		IPCP: []wire.Option{{Type: optAddress, Value: zero}, {Type: optDNS1, Value: zero}, {Type: optDNS2, Value: zero}},
		IID:  func(c *Client) []byte { return c.random(8) },
		NCPs: []uint16{wire.IPCP}, FirstID: 1,
		Auth:  [][]byte{authMSCHAPv2, authCHAP, authPAP},
		Retry: 3 * time.Second, Tries: 10, MRU: int(o.mru), NoCompression: o.kernel, Start: o.start,
	}
	if !o.kernel {
		p.LCP = append(p.LCP, wire.Option{Type: optPFC}, wire.Option{Type: optACFC})
		p.IPCP = append([]wire.Option{{Type: optVJ, Value: []byte{0, 0x2d, 15, 1}}}, p.IPCP...)
	}
	if o.ipv6 {
		p.NCPs = append(p.NCPs, wire.IPV6CP)
	}
	return p
}

// hellos keeps a control connection alive as xl2tpd does, whether it is busy or not.
func (c *Client) hellos(every time.Duration) {
	c.repeat(every, func() { c.order(0, "HELLO", wire.Hello) })
}

// online reports whether the server can still be talked to.
func (c *Client) online() bool { return c.end == nil && !c.leaving }

// repeat calls f at this interval while the client is connected.
func (c *Client) repeat(every time.Duration, f func()) {
	c.after(every, func() {
		if !c.online() {
			return
		}
		c.repeat(every, f)
		f()
	})
}

// leaveXL2TPD is how xl2tpd ends with the kernel's L2TP: it sends one copy of StopCCN and
// then one of CDN, and listens to nothing any more. PPP says nothing; IPsec is stopped
// right after.
func leaveXL2TPD(c *Client) {
	t := c.tun
	t.callUp, t.closed = false, true
	cleared := []byte{0, 1, 0, 0}
	c.order(0, "StopCCN", wire.StopCCN, wire.M(9, wire.U16(t.local)...), wire.M(1, append(bytes.Clone(cleared), "Server closing"...)...))
	c.order(t.distant, "CDN", wire.CDN, wire.M(1, cleared...), wire.M(14, wire.U16(t.session)...))
	c.silence()
	c.stopIPsec()
}

// stopIPsec deletes every SA, each in a message of its own.
func (c *Client) stopIPsec() {
	p := c.current()
	for _, k := range c.children {
		c.remove(p, k)
	}
	c.removePhase1(p)
	c.children = nil
}
