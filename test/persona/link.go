package persona

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// link is one PPP link.
type link struct {
	magic  []byte
	ids    map[uint16]byte
	cps    map[uint16]*cp
	authed bool
	method []byte // what the server's LCP asked for
	proof  *wire.MSCHAPv2

	eapID     byte     // of the last Request of EAP
	eapSaid   []byte   // the Response to it
	eapProved bool     // the server knows the password
	changed   *wire.CP // the Change-Password that was sent

	asked  []byte // the challenge that the server has to answer; nil: none
	proved bool   // it has
	addr   netip.Addr
	dns    []netip.Addr
	peerV6 []byte

	coders coders
}

// nextID counts identifiers, separately for each protocol or for all together.
func (c *Client) nextID(protocol uint16) byte {
	if c.PPP.SharedIDs {
		protocol = 0
	}
	l := c.link
	id, ok := l.ids[protocol]
	if !ok {
		id = c.PPP.FirstID
	}
	l.ids[protocol] = id + 1
	return id
}

// sendPPP sends a frame.
func (c *Client) sendPPP(protocol uint16, body []byte) []byte {
	t := c.tun
	protocol, body = c.link.pack(protocol, body)
	frame := wire.Frame(protocol, body)
	c.tapFrame(protocol, frame, body)
	d := wire.Data{Tunnel: t.remote, Session: t.distant, Length: c.L2TP.Length, Payload: frame}
	return c.sendUDP(d.Marshal())
}

// receiveData handles a data message.
func (c *Client) receiveData(b []byte) {
	d, err := wire.ParseData(b)
	if err != nil {
		c.refuse("L2TP: %v", err)
	}
	t := c.tun
	if t == nil || d.Tunnel != t.local || d.Session != t.session {
		if c.Lossless && !c.leaving && c.end == nil {
			c.refuse("a data message is for tunnel %d, session %d, which it does not have", d.Tunnel, d.Session)
		}
		return
	}
	if d.Sequenced {
		c.refuse("numbered data messages were not asked for (RFC 2661 section 5.4)")
	}
	if !t.callUp {
		if c.Lossless && c.L2TP.WaitsForZLB && !t.closed {
			c.refuse("a PPP frame came before the acknowledgement of ICCN, and is lost")
		}
		c.logf("< a PPP frame that is lost because PPP does not run yet")
		return
	}
	protocol, body, compressed, err := wire.ParseFrame(d.Payload)
	if err != nil {
		c.refuse("PPP: %v", err)
	}
	if compressed != "" && (c.PPP.NoCompression || protocol == wire.LCP) {
		c.refuse("a frame of protocol %04x uses %s, which it misreads", protocol, compressed)
	}
	c.frame(protocol, body)
}

// frame passes a PPP frame to its protocol.
func (c *Client) frame(protocol uint16, body []byte) {
	l := c.link
	if protocol != wire.LCP && !l.cps[wire.LCP].opened() {
		if c.Lossless && c.end == nil && !c.leaving {
			c.refuse("a frame of protocol %04x came before LCP was open, and is discarded (RFC 1661 section 3.4)", protocol)
		}
		return
	}
	if early := protocol < 0xc000 && !l.authed; early {
		if c.Lossless {
			c.refuse("a frame of protocol %04x came before the user was authenticated, and is discarded (RFC 1661 section 3.5)", protocol)
		}
		c.logf("< protocol %04x is discarded before authentication", protocol)
		return
	}
	if protocol == compressed {
		var ok bool
		if protocol, body, ok = c.unpack(body); !ok {
			return
		}
	} else {
		l.coders.skip(protocol, body)
	}
	switch protocol {
	case wire.IPv4:
		c.receiveIP(body)
		return
	case wire.IPv6:
		c.receiveIP6(body)
		return
	}
	p, err := wire.ParseCP(body)
	if err != nil {
		c.refuse("protocol %04x: %v", protocol, err)
	}
	c.logf("< %04x code %d id %d %x", protocol, p.Code, p.ID, p.Body)
	switch protocol {
	case wire.CHAP:
		c.chap(p)
		return
	case wire.PAP:
		c.papAnswer(p)
		return
	case wire.EAP:
		c.eap(p)
		return
	}
	if s := l.cps[protocol]; s != nil {
		s.receive(p)
		return
	}
	if protocol == wire.CCP || protocol == wire.ACSCP {
		c.protocolReject(protocol, body)
		return
	}
	c.refuse("protocol %04x was not negotiated", protocol)
}

func (c *Client) protocolReject(protocol uint16, body []byte) {
	c.sendCP(wire.LCP, wire.CP{Code: wire.ProtRej, ID: c.nextID(wire.LCP), Body: append(wire.U16(protocol), body...)})
}

func (c *Client) sendCP(protocol uint16, p wire.CP) []byte {
	c.logf("> %04x code %d id %d %x", protocol, p.Code, p.ID, p.Body)
	return c.sendPPP(protocol, p.Marshal())
}

// isPPP recognises the server's packets of a protocol.
func (c *Client) isPPP(is func(protocol uint16, p wire.CP) bool) func([]byte) bool {
	return func(b []byte) bool {
		k, _, payload, _, err := c.openESP(b)
		if k == nil || err != nil || len(payload) < 8 || wire.IsControl(payload[8:]) {
			return false
		}
		d, err := wire.ParseData(payload[8:])
		if err != nil {
			return false
		}
		protocol, body, _, err := wire.ParseFrame(d.Payload)
		if err != nil {
			return false
		}
		p, err := wire.ParseCP(body)
		return err == nil && is(protocol, p)
	}
}

// await waits for something that the server has to start.
func (c *Client) await(what string, within time.Duration, cond func() bool, answers func(uint16, wire.CP) bool) {
	if !c.wait(within, cond) {
		panic(&GaveUp{What: what, Answers: c.isPPP(answers)})
	}
}

// dialPPP brings the link up.
func (c *Client) dialPPP() {
	l := &link{ids: map[uint16]byte{}, cps: map[uint16]*cp{}, magic: c.random(4)}
	c.link = l
	c.lcp()
	if c.PPP.Start > 0 {
		c.pause(c.PPP.Start)
	}
	c.tun.callUp = true
	l.cps[wire.LCP].begin()
	const patience = 2 * time.Minute
	c.await("LCP", patience, l.cps[wire.LCP].opened,
		func(p uint16, x wire.CP) bool { return p == wire.LCP && x.Code == wire.ConfReq })
	c.authenticate()
	for _, p := range c.PPP.NCPs {
		c.ncp(p)
	}
	for _, p := range c.PPP.NCPs {
		l.cps[p].begin()
	}
	c.await("IPCP", patience, l.cps[wire.IPCP].opened,
		func(p uint16, x wire.CP) bool { return p == wire.IPCP && x.Code == wire.ConfReq })
	c.logf("the network is up: %v, DNS %v", l.addr, l.dns)
}

// receiveIP handles a packet from the server's network.
func (c *Client) receiveIP(b []byte) {
	if s := c.link.cps[wire.IPCP]; s == nil || !s.opened() {
		if c.Lossless {
			c.refuse("an IP packet came before IPCP was open (RFC 1332 section 2)")
		}
		return
	}
	_, dst, protocol, payload, err := wire.ParseIP(b)
	switch {
	case err != nil:
		c.refuse("inside PPP: %v", err)
	case len(b) > c.PPP.MRU:
		c.refuse("its MRU is %d, and an IP packet has %d bytes", c.PPP.MRU, len(b))
	case dst != c.link.addr && !c.Router:
		c.refuse("a packet is for %v, and its address is %v", dst, c.link.addr)
	}
	if protocol == 17 && len(payload) > 4 && binary.BigEndian.Uint16(payload[2:]) == 68 {
		c.dhcp(b)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = append(c.in, b)
}
