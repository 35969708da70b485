package ppp

import (
	"fmt"
	"net/netip"

	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/machine/frozen"
)

// frozenVersion is the version of the format that Append writes. A change of the fields
// below must raise it.
const frozenVersion = 8

var _ machine.Freezer = (*Link)(nil)

// Append appends the link's state to b. From that state and an equal Env, including
// RoundTrip, Resume makes a link that continues exactly where this one is. No event may
// be pending.
//
// The state contains secrets: challenges, responses, and the proof that is expected of a
// server. Protect the bytes like a password.
func (l *Link) Append(b []byte) []byte {
	l.out.MustBeDrained()
	return frozen.Append(b, frozenVersion, l.s.fields)
}

// Resume makes a link from a state that Append wrote.
func Resume(env Env, b []byte) (*Link, error) {
	l := New(env)
	if err := frozen.Read(b, frozenVersion, l.s.fields); err != nil {
		return nil, fmt.Errorf("ppp: %w", err)
	}
	return l, nil
}

func (s *linkState) fields(c *frozen.Codec) {
	frozen.Enum(c, &s.phase, phaseDone)
	c.Bool(&s.alone)
	c.Bool(&s.mute)
	frozen.Int(c, &s.why)
	c.Bool(&s.heard)
	c.Bool(&s.terminated)
	c.String(&s.peerText)
	c.String(&s.named.name)
	c.String(&s.named.version)
	c.String(&s.detail)
	c.Time(&s.setup)
	c.Time(&s.network)
	frozen.Int(c, &s.tickets)
	frozen.Int(c, &s.challenges)
	s.lcp.fields(c)
	s.auth.fields(c)
	shows := s.self != nil
	if c.Bool(&shows); shows {
		frozen.New(c, &s.self).fields(c)
	}
	s.ipcp.fields(c)
	s.ipv6cp.fields(c)
	compresses := s.ccp != nil
	if c.Bool(&compresses); compresses {
		frozen.New(c, &s.ccp).fields(c)
	}
	s.echo.fields(c)
	s.proof.fields(c)
}

func (a *automaton) fields(c *frozen.Codec) {
	frozen.Enum(c, &a.state, opened)
	frozen.Int(c, &a.restart)
	c.Time(&a.timer)
	frozen.Int(c, &a.id)
	c.Bytes(&a.request)
	c.Time(&a.sent)
	c.Bool(&a.answered)
	frozen.Int(c, &a.refusals)
	c.String(&a.why)
	c.Bool(&a.nudged)
	c.Time(&a.nudge)
	c.Bytes(&a.held)
	c.Time(&a.until)
	for i := range a.heard {
		c.Bytes(&a.heard[i])
	}
	frozen.Int(c, &a.copies)
	frozen.Int(c, &a.refused)
	frozen.Int(c, &a.naks)
	c.Bytes(&a.acked)
	c.Time(&a.ackedAt)
}

func (u *unheeded) fields(c *frozen.Codec) {
	frozen.Int(c, &u.naks)
	frozen.Int(c, &u.vain)
}

func (s *lcpState) fields(c *frozen.Codec) {
	s.automaton.fields(c)
	frozen.Int(c, &s.magic)
	frozen.Int(c, &s.mru)
	c.Bool(&s.noMRU)
	c.Bool(&s.noMagic)
	frozen.Int(c, &s.method)
	frozen.Int(c, &s.refused)
	s.nakedMRU.fields(c)
	s.nakedMagic.fields(c)
	frozen.Int(c, &s.peerMRU)
	frozen.Int(c, &s.peerMethod)
	frozen.Int(c, &s.loops)
	c.Check(s.automaton.held == nil, "a Configure-Ack of LCP that waits")
}

func (a *authState) fields(c *frozen.Codec) {
	frozen.Int(c, &a.method)
	c.Bool(&a.again)
	c.Bool(&a.passed)
	c.String(&a.user)
	c.Time(&a.timer)
	frozen.Int(c, &a.tries)
	frozen.Int(c, &a.id)
	c.Bytes(&a.challenge)
	c.Bytes(&a.answer)
	frozen.Int(c, &a.asks)
	c.Bool(&a.pending)
	c.Bool(&a.changing)
	frozen.Int(c, &a.ticket)
	c.Time(&a.verdictBy)
	frozen.Int(c, &a.code)
	c.Bytes(&a.message)
}

func (s *selfState) fields(c *frozen.Codec) {
	frozen.Int(c, &s.method)
	c.Bool(&s.passed)
	c.String(&s.show.User)
	c.Secret(&s.show.Password)
	s.network.fields(c)
	s.network6.fields(c)
	frozen.Int(c, &s.id)
	c.Bytes(&s.asked)
	c.Bytes(&s.response)
	c.String(&s.proof)
	c.Bytes(&s.said)
	c.String(&s.refused)
	frozen.Int(c, &s.firstID)
	c.Time(&s.timer)
	frozen.Int(c, &s.tries)
}

func (n *Network) fields(c *frozen.Codec) {
	c.Addr(&n.Local)
	c.Addr(&n.Peer)
	frozen.List(c, &n.DNS, func(a *netip.Addr) { c.Addr(a) })
	frozen.List(c, &n.NBNS, func(a *netip.Addr) { c.Addr(a) })
}

func (n *Network6) fields(c *frozen.Codec) {
	c.Bool(&n.On)
	c.Fixed(n.Local[:])
	c.Fixed(n.Peer[:])
}

func (s *ncpState) commonFields(c *frozen.Codec) {
	s.automaton.fields(c)
	c.Bool(&s.on)
	c.Bool(&s.up)
	c.Bool(&s.failed)
}

func (s *ipcpState) fields(c *frozen.Codec) {
	s.commonFields(c)
	s.network.fields(c)
	for i := range s.dns {
		c.Addr(&s.dns[i])
	}
	for i := range s.no {
		c.Bool(&s.no[i])
	}
	for i := range s.naked {
		s.naked[i].fields(c)
	}
	c.Bool(&s.asked)
}

func (s *ipv6cpState) fields(c *frozen.Codec) {
	s.commonFields(c)
	s.network.fields(c)
	c.Fixed(s.agreed[:])
	c.Bool(&s.no)
	s.naked.fields(c)
	c.Bool(&s.asked)
}

func (s *ccpState) fields(c *frozen.Codec) {
	s.commonFields(c)
	frozen.Int(c, &s.named)
	frozen.Enum(c, &s.first, CompressDeflate)
	frozen.Int(c, &s.refused)
	frozen.Int(c, &s.window)
	s.naked.fields(c)
	s.asked.fields(c)
	s.agreed.fields(c)
	s.told.Send.fields(c)
	s.told.Receive.fields(c)
	c.Bool(&s.told.Open)
	c.Bool(&s.reset)
	frozen.Int(c, &s.resetID)
	c.Time(&s.resetAt)
	frozen.Int(c, &s.resends)
	c.Time(&s.timer)
	frozen.Int(c, &s.losses)
	c.Time(&s.lossesAt)
	c.Bool(&s.deaf)
}

func (k *Codec) fields(c *frozen.Codec) {
	frozen.Enum(c, &k.Compressor, CompressDeflate)
	frozen.Int(c, &k.Window)
}

func (e *echoState) fields(c *frozen.Codec) {
	c.Bool(&e.on)
	c.Bool(&e.off)
	c.Time(&e.heard)
	frozen.Int(c, &e.sent)
	c.Time(&e.last)
	frozen.Int(c, &e.counter)
}

func (p *proofState) fields(c *frozen.Codec) {
	c.Bytes(&p.data)
	frozen.Int(c, &p.tries)
	c.Time(&p.timer)
}
