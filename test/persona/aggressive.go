package persona

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// aggressiveMode does Aggressive Mode with a pre-shared key (RFC 2409 section 5.4), as
// Apple's and Android's clients do when a group is configured: the group's name is their
// identity, of type KEY_ID.
func (c *Client) aggressiveMode() *phase1 {
	p := &phase1{tap: c.tap, quick: map[uint32]*quick{}}
	binary.BigEndian.PutUint64(p.ci[:], c.rand.Uint64())
	c.phases = append([]*phase1{p}, c.phases...)
	suites, err := wire.ParseSA(c.IKE.SA)
	if err != nil {
		panic(err)
	}
	suite, err := wire.ParseSuite(suites[0].Transforms[0].Attributes)
	if err != nil {
		panic(err)
	}
	dh, err := wire.NewExchange(suite.Group)
	if err != nil {
		panic(err)
	}
	ni := c.random(c.IKE.Nonce)
	id := append([]byte{11, c.IKE.IDProtocol, byte(c.IKE.IDPort >> 8), byte(c.IKE.IDPort)}, c.IKE.GroupName...)
	list := []wire.Payload{
		{Type: wire.PayloadSA, Body: c.IKE.SA}, {Type: wire.PayloadKE, Body: dh.Public},
		{Type: wire.PayloadNonce, Body: ni}, {Type: wire.PayloadID, Body: id},
	}
	for _, v := range c.IKE.Vendors {
		list = append(list, wire.Payload{Type: wire.PayloadVendor, Body: v})
	}
	first := p.clear(wire.Aggressive, list...)
	c.ask("Aggressive Mode message 1", c.IKE.Retry, p.answers(wire.Aggressive, 0, wire.PayloadSA),
		func() []byte { return c.sendIKE(p, first) }, func() bool { return len(p.queue) > 0 })
	m := p.queue[0]
	p.queue, p.cr = nil, m.Responder
	c.aggressive2(p, m, ni, id, dh)
	c.keepalive()
	return p
}

// aggressive2 judges message 2 and sends message 3.
func (c *Client) aggressive2(p *phase1, m incoming, ni, id []byte, dh *wire.Exchange) {
	all := c.payloads("message 2", m.First, m.Body, wire.PayloadSA, wire.PayloadKE, wire.PayloadNonce, wire.PayloadID,
		wire.PayloadHash, wire.PayloadVendor, wire.PayloadNATD)
	for _, t := range []byte{wire.PayloadSA, wire.PayloadKE, wire.PayloadNonce, wire.PayloadID, wire.PayloadHash} {
		if len(all[t]) != 1 {
			c.refuse("message 2 of Aggressive Mode must have one payload %d, and has %d", t, len(all[t]))
		}
	}
	c.vendors(all[wire.PayloadVendor])
	suite, err := wire.ParseSuite(c.chosen("message 2", c.IKE.SA, all[wire.PayloadSA][0]).Transforms[0].Attributes)
	if err != nil {
		c.refuse("%v", err)
	}
	gxr := all[wire.PayloadKE][0]
	shared, err := dh.Shared(gxr)
	if err != nil {
		c.refuse("message 2: %v", err)
	}
	skeyid := suite.PRF([]byte(c.PSK), ni, all[wire.PayloadNonce][0])
	if p.keys, err = wire.DeriveKeys(suite, skeyid, shared, p.ci[:], p.cr[:]); err != nil {
		c.refuse("%v", err)
	}
	want := suite.PRF(skeyid, gxr, dh.Public, p.cr[:], p.ci[:], c.IKE.SA, all[wire.PayloadID][0])
	if !bytes.Equal(want, all[wire.PayloadHash][0]) {
		c.refuseHash(p, dh.Public, gxr)
	}
	natd := func(a netip.AddrPort) []byte {
		return suite.Sum(p.ci[:], p.cr[:], a.Addr().AsSlice(), wire.U16(a.Port()))
	}
	local, remote := natd(netip.AddrPortFrom(c.own, portIKE)), natd(netip.AddrPortFrom(c.Server, portIKE))
	c.translated(p, all[wire.PayloadNATD], local, remote)

	// Message 3 goes over the new port, with NAT-D for it (RFC 3947 section 4).
	hash := suite.PRF(skeyid, dh.Public, gxr, p.ci[:], p.cr[:], c.IKE.SA, id)
	third := &wire.Message{Initiator: p.ci, Responder: p.cr, Exchange: wire.Aggressive, Flags: wire.Encrypted}
	var plain []byte
	third.First, plain = wire.Chain(wire.Payload{Type: wire.PayloadHash, Body: hash},
		wire.Payload{Type: wire.PayloadNATD, Body: remote}, wire.Payload{Type: wire.PayloadNATD, Body: local})
	p.tapIKE(third, plain)
	third.Body, p.last = p.keys.Encrypt(p.keys.FirstIV(dh.Public, gxr), plain)
	p.final = third.Marshal()
	c.sendIKE(p, p.final)
	c.logf("> Aggressive Mode message 3")
}
