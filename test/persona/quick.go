package persona

import (
	"bytes"
	"encoding/binary"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// quick is one Quick Mode.
type quick struct {
	iv    []byte
	reply *incoming
	third []byte // message 3, which is also the answer to a repeated message 2
	raw   []byte // message 2

	answers *answering // set if the server began it
}

// transport is the encapsulation mode of RFC 3947 section 5.1.
const transport = 4

// quickMode negotiates a pair of SAs (RFC 2409 section 5.5), which then carries what the
// client sends.
func (c *Client) quickMode(p *phase1) {
	p.nextID++
	id := p.nextID
	if !c.IKE.SequentialIDs || c.Odd.OneID != 0 {
		id = c.messageID(p)
	}
	q := &quick{iv: p.iv(id)}
	p.quick[id] = q

	spi := c.rand.Uint32() | 0x80000000
	sa, ni := c.ESP.SA(transport, spi), c.random(c.ESP.Nonce)
	port := c.ESP.Port
	if port == 0 {
		port = c.ephemeral()
	}
	idPort := port
	if c.ESP.AnyPort {
		idPort = 0
	}
	idi := append([]byte{1, 17, byte(idPort >> 8), byte(idPort)}, c.own.AsSlice()...)
	if c.ESP.AnyProtocol {
		copy(idi[1:], []byte{0, 0, 0})
	}
	idr := append([]byte{1, 17, 1701 >> 8, 1701 & 0xff}, c.Server.AsSlice()...)

	if c.Odd.AnyServer {
		copy(idr[1:], []byte{0, 0, 0})
	}
	if c.Odd.ServerID.IsValid() {
		copy(idr[4:], c.Odd.ServerID.AsSlice())
	}

	list := []wire.Payload{{Type: wire.PayloadSA, Body: sa}, {Type: wire.PayloadNonce, Body: ni}}
	var dh *wire.Exchange
	if c.ESP.Group != 0 {
		dh, _ = wire.NewExchange(c.ESP.Group)
		list = append(list, wire.Payload{Type: wire.PayloadKE, Body: dh.Public})
	}
	list = append(list, wire.Payload{Type: wire.PayloadID, Body: idi}, wire.Payload{Type: wire.PayloadID, Body: idr})
	if c.ESP.NATOA {
		list = append(list,
			wire.Payload{Type: wire.PayloadNATOA, Body: append([]byte{1, 0, 0, 0}, c.own.AsSlice()...)},
			wire.Payload{Type: wire.PayloadNATOA, Body: append([]byte{1, 0, 0, 0}, c.Server.AsSlice()...)})
	}
	list = c.odd("Quick Mode", list)
	_, chain := wire.Chain(list...)
	first := p.sealQuick(q, id, p.keys.PRF(p.keys.A, wire.U32(id), chain), list...)
	c.ask("Quick Mode message 1", c.IKE.Retry, p.answers(wire.QuickMode, id, wire.PayloadHash),
		func() []byte { return c.sendIKE(p, first) }, func() bool { return q.reply != nil })

	k := c.quick2(p, q, id, quickOffer{sa, ni, idi, idr, dh})
	k.port = port
	c.children = append([]*child{k}, c.children...)
	if c.ESP.DeleteFirst && len(c.children) > 1 {
		c.remove(p, c.children[1:]...)
	}
	third := p.sealQuick(q, id, p.keys.PRF(p.keys.A, []byte{0}, wire.U32(id), ni, k.nr))
	q.third = third
	c.sendIKE(p, third)
	c.aged(c.ESP.Life, func() {
		if len(c.children) > 0 && k == c.children[0] {
			c.renew()
		}
	})
	c.logf("> Quick Mode message 3: SAs %08x in, %08x out", k.in.SPI, k.out.SPI)
}

type quickOffer struct {
	sa, ni, idi, idr []byte
	dh               *wire.Exchange
}

// ephemeral is the port of the client's L2TP socket.
func (c *Client) ephemeral() uint16 {
	if len(c.children) > 0 {
		return c.children[0].port
	}
	return uint16(49152 + c.rand.IntN(16000))
}

// sealQuick encrypts a message with its HASH in front.
func (p *phase1) sealQuick(q *quick, id uint32, hash []byte, list ...wire.Payload) []byte {
	m := &wire.Message{Initiator: p.ci, Responder: p.cr, Exchange: wire.QuickMode, Flags: wire.Encrypted, ID: id}
	var plain []byte
	m.First, plain = wire.Chain(append([]wire.Payload{{Type: wire.PayloadHash, Body: hash}}, list...)...)
	p.tapIKE(m, plain)
	m.Body, q.iv = p.keys.Encrypt(q.iv, plain)
	return m.Marshal()
}

// receiveQuick stores message 2 for the exchange that waits for it.
func (c *Client) receiveQuick(p *phase1, m incoming) {
	q := p.quick[m.ID]
	switch {
	case p.last == nil:
		c.logf("< Quick Mode before phase 1 is up")
	case q != nil && q.answers != nil:
		c.answered(p, q, m)
	case q == nil && (c.Odd.Responds || c.Answers != nil):
		c.answerQuick(p, m)
	case q == nil:
		c.refuse("the server began Quick Mode %08x, though this client renews its keys itself", m.ID)
	case q.third != nil:
		if bytes.Equal(m.raw, q.raw) {
			c.sendIKE(p, q.third)
		}
	case q.reply == nil:
		q.reply = &m
	}
}

// quick2 judges message 2 and makes the SAs.
func (c *Client) quick2(p *phase1, q *quick, id uint32, o quickOffer) *child {
	m := *q.reply
	q.raw = bytes.Clone(m.raw)
	if m.Flags&wire.Encrypted == 0 {
		c.refuse("Quick Mode message 2 must be encrypted")
	}
	plain, iv, err := p.keys.Decrypt(q.iv, m.Body)
	if err != nil {
		c.refuse("Quick Mode message 2: %v", err)
	}
	q.iv = iv
	list, err := wire.Payloads(m.First, plain)
	if err != nil || len(list) < 3 || list[0].Type != wire.PayloadHash || list[1].Type != wire.PayloadSA {
		c.refuse("Quick Mode message 2 must begin with HASH and SA (RFC 2409 section 5.5): %v", err)
	}
	_, rest := wire.Chain(list[1:]...)
	if !bytes.Equal(list[0].Body, p.keys.PRF(p.keys.A, wire.U32(id), o.ni, rest)) {
		c.refuse("HASH(2) is wrong (RFC 2409 section 5.5)")
	}
	all := map[byte][][]byte{}
	for _, x := range list[1:] {
		all[x.Type] = append(all[x.Type], x.Body)
	}
	a := c.chosen("Quick Mode message 2", o.sa, all[wire.PayloadSA][0])
	if len(a.SPI) != 4 || binary.BigEndian.Uint32(a.SPI) < 256 {
		c.refuse("the SPI %x is reserved (RFC 4303 section 2.1)", a.SPI)
	}
	if ids := all[wire.PayloadID]; len(ids) != 2 || !bytes.Equal(ids[0], o.idi) || !bytes.Equal(ids[1], o.idr) {
		c.refuse("Quick Mode message 2 must repeat the identities %x and %x (RFC 2409 section 5.5), and has %x", o.idi, o.idr, ids)
	}
	if n := len(all[wire.PayloadNATOA]); c.ESP.NATOA && n != 2 || !c.ESP.NATOA && n != 0 {
		c.refuse("it sent NAT-OA %v, and %d NAT-OA payloads came back", c.ESP.NATOA, n)
	}
	if len(all[wire.PayloadNonce]) != 1 {
		c.refuse("Quick Mode message 2 has no nonce")
	}
	var shared []byte
	if o.dh != nil {
		if len(all[wire.PayloadKE]) != 1 {
			c.refuse("it asked for perfect forward secrecy, and no KE payload came back")
		}
		if shared, err = o.dh.Shared(all[wire.PayloadKE][0]); err != nil {
			c.refuse("Quick Mode message 2: %v", err)
		}
	} else if len(all[wire.PayloadKE]) != 0 {
		c.refuse("it did not ask for perfect forward secrecy, and a KE payload came back")
	}
	return c.pair(p, o, a, all[wire.PayloadNonce][0], shared)
}

// pair makes the SAs that a Quick Mode agreed on.
func (c *Client) pair(p *phase1, o quickOffer, a wire.Proposal, nr, shared []byte) *child {
	attributes, err := wire.Attributes(a.Transforms[0].Attributes)
	if err != nil {
		c.refuse("Quick Mode message 2: %v", err)
	}
	suite := wire.ESPSuite{Transform: int(a.Transforms[0].ID), KeyLength: int(attributes[6]), Auth: int(attributes[5])}
	if c.ESP.SHA256Is96 && suite.Auth == 5 {
		suite.Truncate = 12
	}
	mine, err := wire.ParseSA(o.sa)
	if err != nil {
		panic(err)
	}
	in, out := mine[0].SPI, a.SPI
	enc, auth := suite.KeySizes()
	c.logf("< Quick Mode message 2: proposal %d, %+v", a.Number, suite)
	return &child{
		in:  wire.NewESP(binary.BigEndian.Uint32(in), suite, p.keys.Keymat(enc+auth, shared, in, o.ni, nr)),
		out: wire.NewESP(binary.BigEndian.Uint32(out), suite, p.keys.Keymat(enc+auth, shared, out, o.ni, nr)),
		nr:  nr,
	}
}
