package persona

import (
	"net/netip"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// script says in bytes what a connected client does. Each step has one byte for its kind,
// one for the length of its argument, and the argument. Everything is encrypted
// correctly, but most of it is nothing that a client would send.
type script []byte

// next removes the first step from the script.
func (s *script) next() (what byte, b []byte, ok bool) {
	if len(*s) < 2 {
		return 0, nil, false
	}
	what, n := (*s)[0], int((*s)[1])
	rest := (*s)[2:]
	b, *s = rest[:min(n, len(rest))], rest[min(n, len(rest)):]
	return what, b, true
}

// step returns a script of one step.
func step(what byte, b []byte) script { return append(script{what, byte(len(b))}, b...) }

// steps are the kinds of steps that a script may contain.
var steps = []func(c *Client, b []byte){
	func(c *Client, _ []byte) { c.renew() },
	func(c *Client, _ []byte) { c.rephase() },
	func(c *Client, b []byte) { c.phase2(wire.QuickMode, b) },
	func(c *Client, b []byte) { c.phase2(wire.Informational, b) },
	func(c *Client, b []byte) { c.phase2(at(b, 0), tail(b, 1)) },
	func(c *Client, b []byte) { c.deletes(b) },
	func(c *Client, b []byte) { c.sendUDP(b) },
	func(c *Client, b []byte) { c.says(b) },
	func(c *Client, b []byte) { c.sendUDP(c.addressed(b)) },
	func(c *Client, b []byte) { c.frames(b) },
	func(c *Client, b []byte) {
		c.sendPPP(wire.IPv4, numbered(c.link.addr, netip.AddrFrom4([4]byte{10, 83, at(b, 0), at(b, 1)}), 1))
	},
	func(c *Client, b []byte) { c.sendPPP(wire.IPv4, b) },
	func(c *Client, b []byte) { c.sendPPP(wire.IPv6, b) },
	func(c *Client, b []byte) {
		if sealed, err := c.children[0].out.Seal(tail(b, 1), at(b, 0)); err == nil {
			c.send(portNATT, sealed)
		}
	},
	func(c *Client, b []byte) { c.pause(seconds(int(at(b, 0)) % 64)[0]) },
}

// play makes a client do what a script says. Any ending is accepted.
func (c *Client) play(s script) {
	for what, b, ok := s.next(); ok; what, b, ok = s.next() {
		_ = c.do(func() {
			if c.link != nil && len(c.children) > 0 && len(c.phases) > 0 && c.phases[0].last != nil {
				steps[int(what)%len(steps)](c, b)
			}
		})
	}
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func tail(b []byte, i int) []byte { return b[min(i, len(b)):] }

// phase2 sends payloads in a phase 2 exchange with a correct hash. b is the type of the
// first payload, and then all payloads.
func (c *Client) phase2(exchange byte, b []byte) {
	p := c.phases[0]
	id := c.messageID(p)
	first, chain := at(b, 0), tail(b, 1)
	_, hash := wire.Chain(wire.Payload{Type: wire.PayloadHash, Body: p.keys.PRF(p.keys.A, wire.U32(id), chain)})
	hash[0] = first
	m := &wire.Message{Initiator: p.ci, Responder: p.cr, First: wire.PayloadHash, Exchange: exchange, Flags: wire.Encrypted, ID: id}
	m.Body, _ = p.keys.Encrypt(p.iv(id), append(hash, chain...))
	c.sendIKE(p, m.Marshal())
}

// deletes deletes SAs, which may be the client's own.
func (c *Client) deletes(b []byte) {
	p := c.phases[0]
	switch at(b, 0) % 4 {
	case 0:
		c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append(append([]byte{0, 0, 0, 1, 1, 16, 0, 1}, p.ci[:]...), p.cr[:]...)})
	case 1:
		c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append([]byte{0, 0, 0, 1, 3, 4, 0, 1}, wire.U32(c.children[0].in.SPI)...)})
	case 2:
		c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append([]byte{0, 0, 0, 1, 3, 4, 0, 1}, wire.U32(c.children[0].out.SPI)...)})
	default:
		c.inform(p, wire.Payload{Type: at(b, 1), Body: tail(b, 2)})
	}
}

// says sends a control message with the next sequence number: b is its type and its AVPs.
func (c *Client) says(b []byte) {
	m := wire.Control{Tunnel: c.tun.remote, Session: c.tun.distant * uint16(at(b, 0)%2), Ns: c.tun.ns, Nr: c.tun.nr}
	m.AVPs = []wire.AVP{wire.M(0, 0, at(b, 1)%20)}
	for rest := tail(b, 2); len(rest) > 0; {
		n := min(int(rest[0])%24, len(rest)-1)
		m.AVPs = append(m.AVPs, wire.AVP{Mandatory: rest[0]&0x80 != 0, Type: uint16(rest[0] % 48), Value: rest[1 : 1+n]})
		rest = rest[1+n:]
	}
	c.tun.ns++
	c.sendUDP(m.Marshal())
}

// addressed makes an L2TP packet name the client's tunnel and, if it is a data message,
// the client's session.
func (c *Client) addressed(b []byte) []byte {
	b = append([]byte{at(b, 0), at(b, 1)&0xf0 | 2}, tail(b, 2)...)
	i := 2
	if b[0]&0x40 != 0 {
		i = 4
	}
	if len(b) >= i+4 {
		copy(b[i:], wire.U16(c.tun.remote))
		copy(b[i+2:], wire.U16(c.tun.distant))
	}
	return b
}

// frames sends a PPP frame of an existing protocol: b says which one, and contains the
// packet's code, its identifier and the rest.
func (c *Client) frames(b []byte) {
	list := []uint16{wire.LCP, wire.PAP, wire.CHAP, wire.EAP, wire.IPCP, wire.IPV6CP, wire.CCP, wire.ACSCP, wire.MPLSCP}
	c.sendPPP(list[int(at(b, 0))%len(list)], wire.CP{Code: at(b, 1) % 16, ID: at(b, 2), Body: tail(b, 3)}.Marshal())
}
