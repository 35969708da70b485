package ike

import "github.com/adit-vpn/adit/internal/machine/frozen"

// Quick Mode and other state that runs under phase 1, in frozen form.

func (r *ranges) fields(c *frozen.Codec) {
	frozen.List(c, r, func(s *span) {
		frozen.Int(c, &s.First)
		frozen.Int(c, &s.Last)
	})
}

func (p *probe) fields(c *frozen.Codec) {
	frozen.Int(c, &p.Seq)
	frozen.Int(c, &p.Peer)
	c.Bool(&p.Heard)
	c.Time(&p.Resend)
	c.Time(&p.GivenUp)
}

func (q *quick) fields(c *frozen.Codec) {
	frozen.Int(c, &q.ID)
	c.Bool(&q.Initiator)
	frozen.Enum(c, &q.Step, quickDone)
	c.Bytes(&q.IV)
	c.Bytes(&q.NonceI)
	c.Bytes(&q.NonceR)
	q.DH.fields(c)
	frozen.Int(c, &q.InSPI)
	frozen.Int(c, &q.OutSPI)
	c.Bool(&q.Confirmed)
	q.Offer.fields(c)
	c.Bytes(&q.Sent)
	q.Retry.fields(c)
	q.Reply.fields(c)
	c.Time(&q.Ends)
}

func (o *quickOffer) fields(c *frozen.Codec) {
	frozen.List(c, &o.Suites, func(s *ESPSuite) { s.fields(c) })
	frozen.Int(c, &o.Group)
	c.Bool(&o.UDP)
	frozen.Int(c, &o.Lifetime)
	frozen.Int(c, &o.KB)
	c.Bytes(&o.IDi)
	c.Bytes(&o.IDr)
}

func (s *ESPSuite) fields(c *frozen.Codec) {
	frozen.Int(c, &s.Cipher)
	frozen.Int(c, &s.KeyBits)
	frozen.Int(c, &s.Auth)
	frozen.Int(c, &s.Group)
}
