package persona

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Answers is how a router behaves when it is called: as a server.
type Answers struct {
	IKE func(wire.Suite) bool    // the first suite that is offered and for which it says so is chosen
	ESP func(wire.ESPSuite) bool // likewise

	SCCRP func(tunnel uint16) []wire.AVP
	ICRP  func(session uint16) []wire.AVP

	LCP  []wire.Option // of its requests, with how the caller has to authenticate itself
	Self bool          // it authenticates itself, if the caller asks for that
	Shy  bool          // it agrees to, and hangs up when it is challenged

	Address, Caller netip.Addr // inside, its own and what it gives
}

// Answer waits for a call, and answers it. The account's Server is who calls, PeerUser and
// PeerPassword what it has to show, and User and Password what this router shows.
func (c *Client) Answer() error {
	return c.do(func() {
		c.tun = &tunnel{window: 4}
		c.answerCall()
		c.answerPPP()
	})
}

// called begins a phase 1 that the other end has begun.
func (c *Client) called(m *wire.Message, b []byte, marker bool) {
	p := &phase1{tap: c.tap, natt: marker, ci: m.Initiator, quick: map[uint32]*quick{}, queue: []incoming{{m, b}}}
	c.phases = append([]*phase1{p}, c.phases...)
	c.after(0, func() { c.answerMain(p) })
}

// awaitMain waits for the caller's next message of phase 1.
func (c *Client) awaitMain(p *phase1, what string) incoming {
	if !c.wait(30*time.Second, func() bool { return len(p.queue) > 0 }) {
		c.over("%s did not come", what)
	}
	m := p.queue[0]
	p.queue = nil
	return m
}

// answerMain answers Main Mode with a pre-shared key (RFC 2409, section 5.4).
func (c *Client) answerMain(p *phase1) {
	first := c.awaitMain(p, "message 1")
	all := c.payloads("message 1", first.First, first.Body, wire.PayloadSA, wire.PayloadVendor)
	if len(all[wire.PayloadSA]) != 1 || !slices.ContainsFunc(all[wire.PayloadVendor], func(v []byte) bool { return bytes.Equal(v, vidRFC3947) }) {
		c.refuse("message 1 must have one SA payload, and the vendor ID of RFC 3947")
	}
	sa := all[wire.PayloadSA][0]
	chosen, suite := c.choose(sa)
	binary.BigEndian.PutUint64(p.cr[:], c.rand.Uint64())
	second := []wire.Payload{{Type: wire.PayloadSA, Body: wire.SABody(chosen)}}
	for _, v := range [][]byte{vidRFC3947, vidDPD} {
		second = append(second, wire.Payload{Type: wire.PayloadVendor, Body: v})
	}
	c.sendIKE(p, p.clear(wire.MainMode, second...))

	third := c.awaitMain(p, "message 3")
	all = c.payloads("message 3", third.First, third.Body, wire.PayloadKE, wire.PayloadNonce, wire.PayloadNATD)
	if len(all[wire.PayloadKE]) != 1 || len(all[wire.PayloadNonce]) != 1 {
		c.refuse("message 3 must have one KE and one nonce payload")
	}
	dh, err := wire.NewExchange(suite.Group)
	if err != nil {
		c.refuse("%v", err)
	}
	gxi, ni, nr := all[wire.PayloadKE][0], all[wire.PayloadNonce][0], c.random(20)
	shared, err := dh.Shared(gxi)
	if err != nil {
		c.refuse("message 3: %v", err)
	}
	natd := func(a netip.Addr) []byte {
		return suite.Sum(p.ci[:], p.cr[:], a.AsSlice(), wire.U16(p.port()))
	}
	c.sendIKE(p, p.clear(wire.MainMode, wire.Payload{Type: wire.PayloadKE, Body: dh.Public}, wire.Payload{Type: wire.PayloadNonce, Body: nr},
		wire.Payload{Type: wire.PayloadNATD, Body: natd(c.Server)}, wire.Payload{Type: wire.PayloadNATD, Body: natd(c.own)}))
	c.translated(p, all[wire.PayloadNATD], natd(c.own), natd(c.Server))
	if p.keys, err = wire.DeriveKeys(suite, suite.PRF([]byte(c.PSK), ni, nr), shared, p.ci[:], p.cr[:]); err != nil {
		c.refuse("%v", err)
	}
	c.answerProof(p, sa, gxi, dh.Public)
}

// answerProof judges message 5, and answers it.
func (c *Client) answerProof(p *phase1, sa, gxi, gxr []byte) {
	fifth := c.awaitMain(p, "message 5")
	plain, iv, err := p.keys.Decrypt(p.keys.FirstIV(gxi, gxr), fifth.Body)
	if err != nil {
		c.refuse("message 5: %v", err)
	}
	all := c.payloads("message 5", fifth.First, plain, wire.PayloadID, wire.PayloadHash, wire.PayloadNotify)
	if len(all[wire.PayloadID]) != 1 || len(all[wire.PayloadHash]) != 1 {
		c.refuse("message 5 must have one identity and one hash")
	}
	idi, idr := all[wire.PayloadID][0], c.identity()
	if !bytes.Equal(all[wire.PayloadHash][0], p.keys.PRF(p.keys.Root, gxi, gxr, p.ci[:], p.cr[:], sa, idi)) {
		c.refuse("HASH_I is wrong (RFC 2409 section 5)")
	}
	m := &wire.Message{Initiator: p.ci, Responder: p.cr, Exchange: wire.MainMode, Flags: wire.Encrypted}
	m.First, plain = wire.Chain(wire.Payload{Type: wire.PayloadID, Body: idr},
		wire.Payload{Type: wire.PayloadHash, Body: p.keys.PRF(p.keys.Root, gxr, gxi, p.cr[:], p.ci[:], sa, idr)})
	p.tapIKE(m, plain)
	m.Body, p.last = p.keys.Encrypt(iv, plain)
	c.sendIKE(p, m.Marshal())
	c.logf("> message 6: phase 1 is up, the caller is %x", idi)
}

// choose is the first of the offered suites of phase 1 that it takes.
func (c *Client) choose(sa []byte) (wire.Proposal, wire.Suite) {
	offered, err := wire.ParseSA(sa)
	if err != nil {
		c.refuse("message 1: %v", err)
	}
	for _, p := range offered {
		for _, t := range p.Transforms {
			if s, err := wire.ParseSuite(t.Attributes); err == nil && s.Auth == 1 && c.Answers.IKE(s) {
				p.Transforms = []wire.Transform{t}
				return p, s
			}
		}
	}
	c.refuse("message 1 offers nothing that it takes: %x", sa)
	panic("refuse does not return")
}

// chooseESP is the first of the offered suites of ESP that it takes.
func (c *Client) chooseESP(offered []wire.Proposal) wire.Proposal {
	for _, p := range offered {
		for _, t := range p.Transforms {
			a, err := wire.Attributes(t.Attributes)
			if err == nil && a[4] == transport && c.Answers.ESP(wire.ESPSuite{Transform: int(t.ID), KeyLength: int(a[6]), Auth: int(a[5])}) {
				p.Transforms = []wire.Transform{t}
				return p
			}
		}
	}
	c.refuse("Quick Mode message 1 offers nothing that it takes")
	panic("refuse does not return")
}

// answerCall answers the tunnel and the session (RFC 2661 sections 5.1 and 5.2).
func (c *Client) answerCall() {
	const patience = time.Minute
	t := c.tun
	m := c.reply(wire.SCCRQ, 10*time.Minute)
	if v := c.value(m, 2, 2); v[0] != 1 || v[1] != 0 {
		c.refuse("the protocol version must be 1.0, not %x", v)
	}
	t.remote, t.local = binary.BigEndian.Uint16(c.value(m, 9, 2)), c.L2TP.Tunnel(c)
	if v := m.Find(10); v != nil {
		t.window = int(binary.BigEndian.Uint16(v))
	}
	c.order(0, "SCCRP", wire.SCCRP, c.Answers.SCCRP(t.local)...)
	c.reply(wire.SCCCN, patience)
	m = c.reply(wire.ICRQ, patience)
	t.distant, t.session = binary.BigEndian.Uint16(c.value(m, 14, 2)), c.L2TP.Session(c)
	c.order(t.distant, "ICRP", wire.ICRP, c.Answers.ICRP(t.session)...)
	c.value(c.reply(wire.ICCN, patience), 24, 4)
}

// answerPPP brings the link up as the end that is called.
func (c *Client) answerPPP() {
	const patience = time.Minute
	l := &link{ids: map[uint16]byte{}, cps: map[uint16]*cp{}, magic: c.random(4)}
	c.link = l
	s := c.newCP(wire.LCP, "LCP", c.Answers.LCP)
	for i := range s.want {
		if s.want[i].Type == optMagic {
			s.want[i].Value = l.magic
		}
	}
	s.judge = c.judgeLCP
	if !c.Answers.Self && !c.Answers.Shy {
		s.judge = rejecting(optAuth, c.judgeLCP)
	}
	s.open = func() {
		if i := slices.IndexFunc(s.want, func(o wire.Option) bool { return o.Type == optAuth }); i < 0 || !bytes.Equal(s.want[i].Value, authMSCHAPv2) {
			c.refuse("it must be MS-CHAPv2 by which the caller authenticates itself")
		}
		c.challenge()
	}
	c.tun.callUp = true
	s.begin()
	c.await("LCP", patience, s.opened, func(p uint16, x wire.CP) bool { return p == wire.LCP })
	c.await("the caller's response", patience, func() bool { return l.proved && l.authed }, func(p uint16, x wire.CP) bool { return p == wire.CHAP })
	for _, p := range c.PPP.NCPs {
		c.ncp(p)
	}
	ipcp := c.newCP(wire.IPCP, "IPCP", []wire.Option{{Type: optAddress, Value: c.Answers.Address.AsSlice()}})
	ipcp.judge, ipcp.open = c.giveAddress, func() { c.addresses(ipcp) }
	for _, p := range c.PPP.NCPs {
		l.cps[p].begin()
	}
	ipcp.begin()
	c.await("IPCP", patience, ipcp.opened, func(p uint16, x wire.CP) bool { return p == wire.IPCP })
	c.logf("the network is up: %v", l.addr)
}

// rejecting judges requests by another judge, but rejects one option.
func rejecting(kind byte, judge func([]wire.Option) (byte, []wire.Option)) func([]wire.Option) (byte, []wire.Option) {
	return func(list []wire.Option) (byte, []wire.Option) {
		for _, o := range list {
			if o.Type == kind {
				return wire.ConfRej, []wire.Option{o}
			}
		}
		return judge(list)
	}
}

// giveAddress judges the caller's IPCP: it takes the address that is given to it, or none.
func (c *Client) giveAddress(list []wire.Option) (byte, []wire.Option) {
	for _, o := range list {
		switch {
		case o.Type != optAddress:
			return wire.ConfRej, []wire.Option{o}
		case !bytes.Equal(o.Value, c.Answers.Caller.AsSlice()):
			return wire.ConfNak, []wire.Option{{Type: optAddress, Value: c.Answers.Caller.AsSlice()}}
		}
	}
	return wire.ConfAck, nil
}
