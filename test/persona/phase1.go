package persona

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// phase1 is one ISAKMP SA.
type phase1 struct {
	ci, cr [8]byte
	tap    func(Layer, []byte)
	natt   bool // messages go over port 4500, with a marker
	keys   *wire.Keys
	last   []byte // last block of phase 1, from which other IVs are derived
	nextID uint32
	used   map[uint32]bool // message ids used by either end
	gone   bool

	cuts  bool                       // the server accepts fragments
	parts map[uint16]map[byte][]byte // of messages that arrive in fragments, by id
	five  []byte                     // last block of message 5, until phase 1 is up
	sent  []byte                     // the last message, which is sent in fragments if it is repeated
	queue []incoming                 // messages that wait for their exchange
	quick map[uint32]*quick
	seen  []byte // the last message of phase 1
	final []byte // the answer to a repeated last message
}

type incoming struct {
	*wire.Message
	raw []byte
}

// vendor makes the vendor ID of a hexadecimal string.
func vendor(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Vendor IDs that clients and servers exchange.
var (
	vidRFC3947   = vendor("4a131c81070358455c5728f20e95452f")
	vidDraft00   = vendor("4485152d18b6bbcd0be8a8469579ddcc")
	vidDraft02   = vendor("cd60464335df21f87cfdb2fc68b6a448")
	vidDraft02n  = vendor("90cb80913ebb696e086381b5ec427b1f")
	vidApple     = vendor("4df37928e9fc4fd1b3262170d515c662")
	vidDPD       = vendor("afcad71368a1f1c96b8696fc77570100")
	vidFragments = vendor("4048b7d56ebce88525e7de7f00d6c2d3")
)

// natVendors are the vendor IDs of NAT traversal that clients offer.
var natVendors = [][]byte{
	vidRFC3947, vidApple, vidDraft00, vidDraft02, vidDraft02n,
	vendor("7d9419a65310ca6f2c179d9215529d56"), vendor("9909b64eed937c6573de52ace952fa6b"),
	vendor("80d0bb3def54565ee84645d4c85ce3ee"), vendor("4d1e0e136deafa34c4f3ea9f02ec7285"),
	vendor("439b59f8ba676c4c7737ae22eab8f582"), vendor("8f8d83826d246b6fc7a8a6a428c11de8"),
}

// mainMode does Main Mode with a pre-shared key (RFC 2409 section 5.4).
func (c *Client) mainMode(rekey bool) *phase1 {
	p := &phase1{tap: c.tap, natt: rekey && c.IKE.RekeyOnNATT, quick: map[uint32]*quick{}}
	binary.BigEndian.PutUint64(p.ci[:], c.rand.Uint64())
	c.phases = append([]*phase1{p}, c.phases...)

	first := []wire.Payload{{Type: wire.PayloadSA, Body: c.IKE.SA}}
	for _, v := range c.vendorIDs() {
		first = append(first, wire.Payload{Type: wire.PayloadVendor, Body: v})
	}
	suite := c.main2(p, c.exchange(p, "message 1", p.clear(wire.MainMode, first...), wire.PayloadSA))

	dh, err := wire.NewExchange(suite.Group)
	if err != nil {
		c.refuse("%v", err)
	}
	ni := c.random(c.IKE.Nonce)
	local, remote := netip.AddrPortFrom(c.own, p.port()), netip.AddrPortFrom(c.Server, p.port())
	natd := func(a netip.AddrPort) []byte {
		return suite.Sum(p.ci[:], p.cr[:], a.Addr().AsSlice(), wire.U16(a.Port()))
	}
	third := []wire.Payload{{Type: wire.PayloadKE, Body: dh.Public}, {Type: wire.PayloadNonce, Body: ni}}
	if s := c.IKE.Signs; s != nil && s.RequestIn3 {
		third = append(third, c.request())
	}
	third = append(third, wire.Payload{Type: wire.PayloadNATD, Body: natd(remote)}, wire.Payload{Type: wire.PayloadNATD, Body: natd(local)})
	m4 := c.exchange(p, "message 3", p.clear(wire.MainMode, c.odd("message 3", third)...), wire.PayloadKE)
	gxr, nr := c.main4(p, m4, natd(local), natd(remote))

	shared, err := dh.Shared(gxr)
	if err != nil {
		c.refuse("message 4: %v", err)
	}
	skeyid := suite.PRF([]byte(c.PSK), ni, nr)
	if c.IKE.Signs != nil {
		skeyid = suite.PRF(append(bytes.Clone(ni), nr...), shared)
	}
	p.keys, err = wire.DeriveKeys(suite, skeyid, shared, p.ci[:], p.cr[:])
	if err != nil {
		c.refuse("%v", err)
	}
	p.keys.AlwaysPad = c.IKE.AlwaysPads
	c.main5(p, dh.Public, gxr)
	c.aged(c.IKE.Life, func() {
		if p == c.current() {
			c.rephase()
		}
	})
	return p
}

// clear encodes an unencrypted message.
func (p *phase1) clear(exchange byte, list ...wire.Payload) []byte {
	m := &wire.Message{Initiator: p.ci, Responder: p.cr, Exchange: exchange}
	m.First, m.Body = wire.Chain(list...)
	p.tapIKE(m, m.Body)
	return m.Marshal()
}

func (p *phase1) port() uint16 {
	if p.natt {
		return portNATT
	}
	return portIKE
}

// sendIKE sends a message, and returns the datagram.
func (c *Client) sendIKE(p *phase1, b []byte) []byte {
	whole := b
	b = c.pad(b)
	if p.natt {
		b = append(make([]byte, 4), b...)
	}
	if c.IKE.Fragment > 0 && len(whole) > c.IKE.Fragment && p.cuts && (c.IKE.FragmentAtOnce || bytes.Equal(whole, p.sent)) {
		c.fragment(p, b, whole)
		return b
	}
	p.sent = whole
	c.send(p.port(), b)
	return b
}

// fragment sends a message, whose datagram would be d, in pieces, each after a copy of
// its header.
func (c *Client) fragment(p *phase1, d, whole []byte) {
	var pieces [][]byte
	m, err := wire.ParseMessage(whole)
	if err != nil {
		panic(err)
	}
	for n, rest := byte(1), c.pad(whole); len(rest) > 0; n++ {
		piece := rest[:min(len(rest), c.IKE.Fragment)]
		rest = rest[len(piece):]
		last := byte(0)
		if len(rest) == 0 {
			last = 1
		}
		f := *m
		f.Flags = 0
		f.First, f.Body = wire.Chain(wire.Payload{Type: wire.PayloadFragment, Body: append([]byte{0, 1, n, last}, piece...)})
		b := c.pad(f.Marshal())
		if p.natt {
			b = append(make([]byte, 4), b...)
		}
		pieces = append(pieces, b)
		c.send(p.port(), b)
	}
	c.pieces = map[string][][]byte{string(d): pieces}
}

// exchange sends a phase 1 message until the server answers it with a message that begins
// with the payload next.
func (c *Client) exchange(p *phase1, what string, b []byte, next byte) incoming {
	p.queue = nil
	c.ask("Main Mode "+what, c.IKE.Retry, p.answers(wire.MainMode, 0, next),
		func() []byte { return c.sendIKE(p, b) }, func() bool { return len(p.queue) > 0 })
	m := p.queue[0]
	p.queue = nil
	return m
}

// answers recognises the server's messages of an exchange that begin with a
// payload.
func (p *phase1) answers(exchange byte, id uint32, first byte) func([]byte) bool {
	return func(b []byte) bool {
		if len(b) > 4 && b[0]|b[1]|b[2]|b[3] == 0 {
			b = b[4:]
		}
		m, err := wire.ParseMessage(b)
		return err == nil && m.Initiator == p.ci && m.Exchange == exchange && m.ID == id && (m.First == first || m.First == wire.PayloadFragment)
	}
}

func (c *Client) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.rand.Uint32())
	}
	return b
}

// payloads decodes a message's payloads and refuses what it must not have.
func (c *Client) payloads(what string, first byte, body []byte, allowed ...byte) map[byte][][]byte {
	list, err := wire.Payloads(first, body)
	if err != nil {
		c.refuse("%s is malformed: %v", what, err)
	}
	all := map[byte][][]byte{}
	for _, p := range list {
		if c.IKE.StrictPayloads && !slices.Contains(allowed, p.Type) {
			c.refuse("in %s only the payloads %v may be, anything else is fatal, and there is a payload %d", what, allowed, p.Type)
		}
		all[p.Type] = append(all[p.Type], p.Body)
	}
	return all
}

// main2 judges message 2 and returns the suite that was chosen.
func (c *Client) main2(p *phase1, m incoming) wire.Suite {
	if m.First != wire.PayloadSA {
		c.refuse("message 2 must begin with the SA payload (RFC 2409 section 5), and begins with payload %d", m.First)
	}
	p.cr = m.Responder
	if p.cr == [8]byte{} {
		c.refuse("message 2 has no responder cookie")
	}
	all := c.payloads("message 2", m.First, m.Body, wire.PayloadSA, wire.PayloadVendor)
	if len(all) > 2 || len(all) == 2 && all[wire.PayloadVendor] == nil || len(all[wire.PayloadSA]) != 1 {
		c.refuse("message 2 must have one SA payload and vendor IDs, nothing else")
	}
	c.vendors(all[wire.PayloadVendor])
	p.cuts = slices.ContainsFunc(all[wire.PayloadVendor], func(v []byte) bool { return bytes.HasPrefix(v, vidFragments) })
	t := c.chosen("message 2", c.IKE.SA, all[wire.PayloadSA][0]).Transforms[0]
	suite, err := wire.ParseSuite(t.Attributes)
	if err != nil {
		c.refuse("%v", err)
	}
	c.logf("< message 2: transform %d, %+v", t.Number, suite)
	return suite
}

// chosen checks that an SA payload has one transform of those that were
// offered, attributes byte for byte (RFC 2408 section 4.2), and returns its
// proposal.
func (c *Client) chosen(what string, offered, answer []byte) wire.Proposal {
	got, err := wire.ParseSA(answer)
	if err != nil {
		c.refuse("%s: %v", what, err)
	}
	if len(got) != 1 || len(got[0].Transforms) != 1 {
		c.refuse("%s must choose one transform of one proposal", what)
	}
	mine, err := wire.ParseSA(offered)
	if err != nil {
		panic(err)
	}
	a, t := got[0], got[0].Transforms[0]
	for _, o := range mine {
		for _, x := range o.Transforms {
			if o.Number == a.Number && o.Protocol == a.Protocol && x.Number == t.Number && x.ID == t.ID && bytes.Equal(x.Attributes, t.Attributes) {
				return a
			}
		}
	}
	c.refuse("%s must repeat a transform that was offered byte for byte, and has proposal %d, transform %d, attributes %x",
		what, a.Number, t.Number, t.Attributes)
	return a
}

// vendors judges the server's vendor IDs.
func (c *Client) vendors(list [][]byte) {
	natt := 0
	for _, v := range list {
		if bytes.Equal(v, vidApple) {
			c.refuse("the vendor ID 4df37928… must never be sent back: it selects payload numbers of a draft")
		}
		if slices.ContainsFunc(natVendors, func(n []byte) bool { return bytes.Equal(n, v) }) {
			if natt++; !bytes.Equal(v, vidRFC3947) {
				c.refuse("of the NAT traversal vendor IDs that were offered RFC 3947's must be chosen, not %x", v)
			}
		}
	}
	if natt != 1 {
		c.refuse("exactly one NAT traversal vendor ID must be sent back, and there are %d", natt)
	}
}

// main4 judges message 4 and decides on NAT traversal (RFC 3947 section 3.2).
func (c *Client) main4(p *phase1, m incoming, local, remote []byte) (gxr, nr []byte) {
	all := c.payloads("message 4", m.First, m.Body,
		wire.PayloadKE, wire.PayloadNonce, wire.PayloadVendor, wire.PayloadCertReq, wire.PayloadNATD)
	if m.Responder != p.cr {
		c.refuse("message 4 has another responder cookie than message 2")
	}
	ke, nonce, natd := all[wire.PayloadKE], all[wire.PayloadNonce], all[wire.PayloadNATD]
	if len(ke) != 1 || len(nonce) != 1 {
		c.refuse("message 4 must have one KE and one nonce payload")
	}
	if n := len(nonce[0]); n < 8 || n > 256 {
		c.refuse("a nonce has 8 to 256 bytes (RFC 2409 section 5), not %d", n)
	}
	c.translated(p, natd, local, remote)
	return ke[0], nonce[0]
}

// translated decides on NAT traversal by the server's NAT-D payloads.
func (c *Client) translated(p *phase1, natd [][]byte, local, remote []byte) {
	if len(natd) < 2 {
		c.refuse("message 4 must have two NAT-D payloads, and has %d", len(natd))
	}
	for _, h := range natd {
		if len(h) != len(local) {
			c.refuse("a NAT-D payload has the length of the negotiated hash, %d bytes, not %d", len(local), len(h))
		}
	}
	behind := !bytes.Equal(natd[0], local)
	natted := !slices.ContainsFunc(natd[1:], func(h []byte) bool { return bytes.Equal(h, remote) })
	c.logf("< message 4: client behind NAT %v, server behind NAT %v", behind, natted)
	if natted && c.IKE.RefusesNATedServer {
		c.refuse("NAT-D says that the server is behind a NAT, for which it builds no SA without a change to its registry (error 809)")
	}
	if !behind && !natted {
		c.refuse("NAT-D says that there is no NAT, and the network carries no raw ESP")
	}
	p.natt = true
}

// identity is the body of the identification payload of phase 1.
func (c *Client) identity() []byte {
	if c.IKE.Signs != nil {
		return append([]byte{9, 0, 0, 0}, c.Certificate.RawSubject...)
	}
	return append([]byte{1, c.IKE.IDProtocol, byte(c.IKE.IDPort >> 8), byte(c.IKE.IDPort)}, c.own.AsSlice()...)
}

// main5 authenticates both sides.
func (c *Client) main5(p *phase1, gxi, gxr []byte) {
	list := c.prove(p, gxi, gxr)
	if c.IKE.InitialContact == ContactInMain5 && len(c.children) == 0 {
		list = append(list, p.contact())
	}
	m := &wire.Message{Initiator: p.ci, Responder: p.cr, Exchange: wire.MainMode, Flags: wire.Encrypted}
	var plain []byte
	m.First, plain = c.chain("message 5", list)
	p.tapIKE(m, plain)
	var iv []byte
	m.Body, iv = p.keys.Encrypt(p.keys.FirstIV(gxi, gxr), plain)
	p.five = iv
	m6 := c.exchange(p, "message 5", m.Marshal(), wire.PayloadID)
	if m6.Flags&wire.Encrypted == 0 {
		c.refuse("message 6 must be encrypted")
	}
	plain, iv, err := p.keys.Decrypt(iv, m6.Body)
	if err != nil {
		c.refuse("message 6: %v", err)
	}
	all := c.payloads("message 6", m6.First, plain,
		wire.PayloadID, wire.PayloadHash, wire.PayloadCert, wire.PayloadSig, wire.PayloadVendor, wire.PayloadNotify)
	idr := c.proved(p, all, gxi, gxr)
	if len(idr) >= 8 && idr[0] == 1 && bytes.Equal(idr[4:8], make([]byte, 4)) {
		c.refuse("the server's identity is 0.0.0.0")
	}
	p.last = iv
	c.logf("< message 6: phase 1 is up, the server is %x", idr)
	if c.IKE.InitialContact == ContactSeparate && len(c.children) == 0 {
		c.inform(p, p.contact())
	}
	c.keepalive()
}

// contact is the INITIAL-CONTACT notify (RFC 2407 section 4.6.3.3).
func (p *phase1) contact() wire.Payload {
	body := append([]byte{0, 0, 0, 1, 1, 16}, wire.U16(wire.InitialContact)...)
	return wire.Payload{Type: wire.PayloadNotify, Body: append(append(body, p.ci[:]...), p.cr[:]...)}
}

// keepalive sends RFC 3948's keepalives from now on.
func (c *Client) keepalive() {
	if c.IKE.Keepalive == 0 || c.beat != nil {
		return
	}
	var beat func()
	beat = func() {
		c.send(portNATT, []byte{0xff})
		c.beat = c.after(c.IKE.Keepalive, beat)
	}
	c.beat = c.after(c.IKE.Keepalive, beat)
}
