package persona

import (
	"slices"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Oddities are what a client does that no client of its kind is known for, but
// that clients and what stands between do. A rule of the client is none.
type Oddities struct {
	// Padding is how many bytes follow every ISAKMP message in its datagram, or,
	// where it leaves in fragments, in what they are made of.
	Padding int

	// Extra are payloads behind those of a message, by its name: "message 3",
	// "message 5", "Quick Mode".
	Extra map[string][]wire.Payload

	// Slow is how long a message takes to make, by its name.
	Slow map[string]time.Duration

	AnyServer bool // IDcr says protocol 0 and port 0
	NoVendors bool // but NAT traversal's: message 1 is as short as can be

	// Responds: the server may begin a Quick Mode. Its message 3 is dealt with so
	// much later, and the first Lost copies of it never are.
	Responds bool
	Late     time.Duration
	Lost     int

	// Notifies: a wrong hash in Aggressive Mode is answered with a notify that is
	// encrypted under the client's own keys. Else the client falls silent.
	Notifies bool
}

// pad puts bytes that mean nothing behind a message.
func (c *Client) pad(b []byte) []byte { return slices.Concat(b, c.random(c.Odd.Padding)) }

// vendorIDs are those of message 1.
func (c *Client) vendorIDs() [][]byte {
	if c.Odd.NoVendors {
		return [][]byte{vidRFC3947}
	}
	return c.IKE.Vendors
}

// odd adds the payloads that a message has beyond its own, when it is ready.
func (c *Client) odd(what string, list []wire.Payload) []wire.Payload {
	if d := c.Odd.Slow[what]; d > 0 {
		c.pause(d)
	}
	return append(list, c.Odd.Extra[what]...)
}

// AskWith sends an R-U-THERE that names these cookies, of so many bytes as size
// says, and has this number. It returns how many answers came within a second.
func (c *Client) AskWith(cookies func(ci, cr [8]byte) []byte, size byte, seq uint32) (answers int) {
	_ = c.do(func() {
		p := c.current()
		body := append([]byte{0, 0, 0, 1, 1, size}, wire.U16(wire.RUThere)...)
		body = append(append(body, cookies(p.ci, p.cr)...), wire.U32(seq)...)
		before := len(c.stats.Acks)
		c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: body})
		c.pause(time.Second)
		answers = len(c.stats.Acks) - before
	})
	return answers
}

// DeleteWith deletes SAs with a payload of the test's own: spi makes what follows
// the number of SPIs, of the SPI of the newest pair and of the cookies.
func (c *Client) DeleteWith(protocol, size byte, count uint16, spi func(in []byte, ci, cr [8]byte) []byte) {
	_ = c.do(func() {
		p := c.current()
		body := append([]byte{0, 0, 0, 1, protocol, size}, wire.U16(count)...)
		c.inform(p, wire.Payload{Type: wire.PayloadDelete, Body: append(body, spi(wire.U32(c.children[0].in.SPI), p.ci, p.cr)...)})
		c.pause(time.Second)
	})
}

// refuseHash ends Aggressive Mode over a wrong hash of the server's.
func (c *Client) refuseHash(p *phase1, gxi, gxr []byte) {
	if c.Odd.Notifies {
		p.five = p.keys.FirstIV(gxi, gxr)
		p.natt = true
		c.inform(p, wire.Payload{Type: wire.PayloadNotify, Body: []byte{0, 0, 0, 1, 1, 0, 0, 24}})
	}
	c.over("HASH_R is wrong: the server has another key for this group")
	panic(c.end)
}

// answerQuick deals with a Quick Mode that the server began (RFC 2409 section
// 5.5): message 1 is answered with message 2, which is repeated until message 3
// has come. The pair carries nothing before.
func (c *Client) answerQuick(p *phase1, m incoming) {
	q := &quick{iv: p.iv(m.ID)}
	plain, iv, err := p.keys.Decrypt(q.iv, m.Body)
	if err != nil {
		c.refuse("Quick Mode message 1: %v", err)
	}
	q.iv = iv
	list, err := wire.Payloads(m.First, plain)
	if err != nil || len(list) < 5 || list[0].Type != wire.PayloadHash || list[1].Type != wire.PayloadSA || list[2].Type != wire.PayloadNonce {
		c.refuse("Quick Mode message 1 must begin with HASH, SA and nonce (RFC 2409 section 5.5): %v", err)
	}
	_, rest := wire.Chain(list[1:]...)
	if want := p.keys.PRF(p.keys.A, wire.U32(m.ID), rest); string(want) != string(list[0].Body) {
		c.refuse("HASH(1) is wrong (RFC 2409 section 5.5)")
	}
	offered, err := wire.ParseSA(list[1].Body)
	if err != nil || len(offered) == 0 || len(offered[0].Transforms) == 0 {
		c.refuse("Quick Mode message 1 offers nothing: %v", err)
	}
	p.use(m.ID)
	a := offered[0]
	a.Transforms = a.Transforms[:1]
	spi, ni, nr := wire.U32(c.rand.Uint32()|0x80000000), list[2].Body, c.random(c.ESP.Nonce)
	answer := a
	answer.SPI = spi
	reply := []wire.Payload{{Type: wire.PayloadSA, Body: wire.SABody(answer)}, {Type: wire.PayloadNonce, Body: nr}}
	for _, x := range list[3:] {
		if x.Type == wire.PayloadID {
			reply = append(reply, x)
		}
	}
	_, chain := wire.Chain(reply...)
	second := p.sealQuick(q, m.ID, p.keys.PRF(p.keys.A, wire.U32(m.ID), ni, chain), reply...)
	k := c.pair(p, quickOffer{sa: wire.SABody(answer), ni: ni}, a, nr, nil)
	k.port = c.children[0].port
	q.answers = &answering{pair: k, hash: p.keys.PRF(p.keys.A, []byte{0}, wire.U32(m.ID), ni, nr), lost: c.Odd.Lost}
	p.quick[m.ID] = q
	c.logf("> Quick Mode message 2 of a Quick Mode of the server's")
	c.sendIKE(p, second)
	for i, at := range []time.Duration{4 * time.Second, 11200 * time.Millisecond, 24 * time.Second} {
		c.after(at, func() {
			if !q.answers.done {
				c.logf("> Quick Mode message 2, copy %d", i+2)
				c.sendIKE(p, second)
			}
		})
	}
}

// answering is a Quick Mode of the server's that waits for message 3.
type answering struct {
	pair *child
	hash []byte
	lost int
	done bool
}

// answered deals with message 3.
func (c *Client) answered(p *phase1, q *quick, m incoming) {
	x := q.answers
	if x.lost > 0 {
		x.lost--
		c.logf("< Quick Mode message 3, which is lost")
		return
	}
	plain, _, err := p.keys.Decrypt(q.iv, m.Body)
	if err != nil {
		c.refuse("Quick Mode message 3: %v", err)
	}
	list, err := wire.Payloads(m.First, plain)
	if err != nil || len(list) != 1 || string(list[0].Body) != string(x.hash) {
		c.refuse("HASH(3) is wrong (RFC 2409 section 5.5): %v", err)
	}
	if x.done {
		return
	}
	x.done = true
	c.after(c.Odd.Late, func() {
		c.children = append([]*child{x.pair}, c.children...)
		c.logf("< Quick Mode message 3: SAs %08x in, %08x out", x.pair.in.SPI, x.pair.out.SPI)
	})
}
