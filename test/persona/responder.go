package persona

import (
	"bytes"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// answerQuick handles a Quick Mode that the server began (RFC 2409 section 5.5). It
// answers message 1 with message 2, and repeats that until message 3 has come. The pair
// carries nothing before that.
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
	if c.Answers != nil {
		a = c.chooseESP(offered)
	}
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
	if k.port = 1701; len(c.children) > 0 {
		k.port = c.children[0].port
	}
	q.answers = &answering{pair: k, first: bytes.Clone(m.raw), second: second, hash: p.keys.PRF(p.keys.A, []byte{0}, wire.U32(m.ID), ni, nr), lost: c.Odd.Lost}
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

// answering is a Quick Mode that the server began and that waits for message 3.
type answering struct {
	pair *child

	first, second []byte // messages 1 and 2

	hash []byte
	lost int
	done bool
}

// answered handles message 3.
func (c *Client) answered(p *phase1, q *quick, m incoming) {
	x := q.answers
	if bytes.Equal(m.raw, x.first) { // the server has not received message 2 yet
		c.logf("< Quick Mode message 1 again")
		c.sendIKE(p, x.second)
		return
	}
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
	ready := func() {
		c.children = append([]*child{x.pair}, c.children...)
		c.logf("< Quick Mode message 3: SAs %08x in, %08x out", x.pair.in.SPI, x.pair.out.SPI)
	}
	if c.Odd.Late == 0 { // before what follows message 3
		ready()
		return
	}
	c.after(c.Odd.Late, ready)
}
