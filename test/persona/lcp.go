package persona

import (
	"bytes"
	"slices"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// LCP options of RFC 1661 section 6.
const (
	optMRU   = 1
	optACCM  = 2
	optAuth  = 3
	optMagic = 5
	optPFC   = 7
	optACFC  = 8
)

// lcp prepares the link control protocol.
func (c *Client) lcp() {
	s := c.newCP(wire.LCP, "LCP", c.PPP.LCP)
	for i := range s.want {
		if s.want[i].Type == optMagic {
			s.want[i].Value = c.link.magic
		}
	}
	s.judge = c.judgeLCP
	s.open = func() {
		if c.PPP.Opened != nil {
			c.PPP.Opened(c)
		}
	}
}

// judgeLCP answers the server's request.
func (c *Client) judgeLCP(list []wire.Option) (byte, []wire.Option) {
	var rejected, naked []wire.Option
	c.link.method = nil
	for _, o := range list {
		if bytes.IndexByte(c.PPP.LCPRejects, o.Type) >= 0 {
			rejected = append(rejected, o)
			continue
		}
		switch o.Type {
		case optMRU, optACCM, optMagic, optPFC, optACFC:
		case optAuth:
			if slices.ContainsFunc(c.PPP.Auth, func(a []byte) bool { return bytes.Equal(a, o.Value) }) {
				c.link.method = bytes.Clone(o.Value)
				continue
			}
			naked = append(naked, wire.Option{Type: optAuth, Value: c.PPP.Auth[0]})
		default:
			rejected = append(rejected, o)
		}
	}
	switch {
	case rejected != nil:
		return wire.ConfRej, rejected
	case naked != nil:
		return wire.ConfNak, naked
	}
	return wire.ConfAck, nil
}

// lcpPacket handles the packets that only LCP has.
func (c *Client) lcpPacket(p wire.CP) {
	switch p.Code {
	case wire.ProtRej:
		if len(p.Body) < 2 {
			c.refuse("a Protocol-Reject has no protocol")
		}
		c.protocolRejected(uint16(p.Body[0])<<8|uint16(p.Body[1]), p.Body[2:])
	case wire.EchoReq:
		if !c.link.cps[wire.LCP].opened() {
			return
		}
		if len(p.Body) < 4 || bytes.Equal(p.Body[:4], c.link.magic) {
			c.refuse("an Echo-Request has the magic number %x: a loop, or none (RFC 1661 section 5.8)", p.Body)
		}
		c.sendCP(wire.LCP, wire.CP{Code: wire.EchoRep, ID: p.ID, Body: append(bytes.Clone(c.link.magic), p.Body[4:]...)})
	case wire.EchoRep, wire.DiscReq, wire.TermAck:
		c.lcpHeard = append(c.lcpHeard, p.Code)
	default:
		c.refuse("LCP code %d is unknown", p.Code)
	}
}

// protocolRejected handles a Protocol-Reject (RFC 1661 section 5.7).
func (c *Client) protocolRejected(protocol uint16, packet []byte) {
	s := c.link.cps[protocol]
	if s == nil || !s.begun {
		c.refuse("the server rejected protocol %04x, which was not sent", protocol)
	}
	if protocol == wire.LCP || protocol == wire.IPCP {
		c.refuse("the server rejected protocol %04x", protocol)
	}
	whole := wire.CP{Code: wire.ConfReq, ID: s.id, Body: s.asked}.Marshal()
	if !bytes.HasPrefix(whole, packet) && !bytes.HasPrefix(packet, whole) {
		c.refuse("a Protocol-Reject must have a copy of the rejected packet (RFC 1661 section 5.7), and has %x", packet)
	}
	s.stop()
	s.rejected = true
}
