package session

import (
	"errors"
	"fmt"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/limit"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/internal/machine/frozen"
	"github.com/adit-vpn/adit/ppp"
)

// frozenVersion is the version of the format that Append writes, except for the link's
// part, which has a version of its own. A change of the fields below must raise it.
const frozenVersion = 10

var _ machine.Freezer = (*Session)(nil)

// Append appends the state of the session and of its link to b. No event may be pending,
// neither NextEvent's nor the link's.
//
// The state lists what the session holds: the count against its user's limit, the leased
// addresses and prefixes, and the networks that are the user's. Append does not release
// any of it. Only one of the two may continue, the frozen session or the thawed one, and
// only that one is released.
//
// The bytes contain the link's secrets, and the backend's answer if it is waiting for
// room. Protect them like a password.
func (s *Session) Append(b []byte) []byte {
	s.out.MustBeDrained()
	link := s.link.Append(nil)
	return frozen.Append(b, frozenVersion, func(c *frozen.Codec) {
		s.st.fields(c)
		c.Bytes(&link)
	})
}

// Resume makes a session from a state that Append wrote and an equal Env.
//
//   - The session holds what the state lists: Resume leases and counts nothing. Release gives it
//     back to the pools and the Registry of env. If these are not the ones that the session had,
//     as in another process, the caller must first make them hold the same.
//   - Policy, Plan and PPP are those in force for the session. Resume fails if the session has
//     IPv6 and the policy has none.
//   - Traffic continues to count: the session has carried the present count less the count when
//     the session came up.
//   - A pending request to the backend is identified by its ticket alone. Verdict takes the answer
//     as before. If no answer comes, the link waits as long as for a backend that is silent, and
//     then ends. The same is true of Retry.
func Resume(env Env, b []byte) (*Session, error) {
	s := &Session{env: env}
	var link []byte
	err := frozen.Read(b, frozenVersion, func(c *frozen.Codec) {
		s.st.fields(c)
		c.Bytes(&link)
	})
	if err == nil {
		s.link, err = ppp.Resume(env.link(), link)
	}
	if err == nil && s.st.six.on && s.st.grant.Link == nil && env.Policy.IPv6 == nil {
		err = errors.New("the frozen session has IPv6, and the policy has none")
	}
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	s.watch()
	return s, nil
}

func (s *state) fields(c *frozen.Codec) {
	c.String(&s.id)
	c.String(&s.alone)
	asked := s.asked != nil
	if c.Bool(&asked); asked {
		frozen.New(c, &s.asked).fields(c)
	}
	open := s.open != nil
	if c.Bool(&open); open {
		frozen.New(c, &s.open).fields(c)
	}

	frozen.Int(c, &s.method)
	grantFields(c, &s.grant)
	c.Check(judgeSettings(s.grant.Settings) == "", "a grant that cannot be told to a client")
	c.Addr(&s.address)
	s.six.fields(c)
	c.Bool(&s.entered)
	frozen.List(c, &s.holds, c.Prefix)

	c.Bool(&s.up)
	c.Bool(&s.began)
	c.Bool(&s.four)
	frozen.Int(c, &s.mtu)
	s.before.fields(c)
	c.Time(&s.since)
	c.Time(&s.interim)
	c.Time(&s.timed)
	c.Time(&s.end)
	c.Time(&s.idle)
	c.Time(&s.active)
	frozen.Int(c, &s.packets)
	frozen.Int(c, &s.why)
	frozen.Int(c, &s.usage.spent)
	c.Time(&s.usage.next)
	c.Bool(&s.usage.garden)
	c.Bool(&s.usage.told)
}

func (a *attempt) fields(c *frozen.Codec) {
	frozen.Int(c, &a.ticket)
	frozen.Int(c, &a.method)
	c.String(&a.name)
	c.Time(&a.at)
	frozen.Int(c, &a.waited)
	c.String(&a.before)
	c.Bool(&a.again)
	c.String(&a.detail)
	accepted := a.accepted != nil
	if c.Bool(&accepted); accepted {
		frozen.New(c, &a.accepted).fields(c)
	}
	c.String(&a.bound.Group)
	c.Bool(&a.bound.Certificate)
}

func (x *six) fields(c *frozen.Codec) {
	ipv6Fields(c, &x.IPv6)
	c.Bool(&x.on)
	c.Bool(&x.up)
	c.Addr(&x.server)
	frozen.Int(c, &x.mtu)
	c.Time(&x.next)
	frozen.Int(c, &x.sent)
	frozen.List(c, &x.leases, func(l *heldLease) {
		c.Bool(&l.delegated)
		c.Addr(&l.addr)
	})
	c.Check(x.on || !x.up && x.next.IsZero(), "IPv6 of a session that has none")
}

func (n *Counters) fields(c *frozen.Codec) {
	frozen.Int(c, &n.InPackets)
	frozen.Int(c, &n.InOctets)
	frozen.Int(c, &n.OutPackets)
	frozen.Int(c, &n.OutOctets)
}

func (y *acceptance) fields(c *frozen.Codec) {
	grantFields(c, &y.grant)
	c.String(&y.detail)
	c.String(&y.message)
	c.String(&y.success)
	frozen.Int(c, &y.code)
	frozen.List(c, &y.warnings, c.String)
}

func grantFields(c *frozen.Codec, g *auth.Grant) {
	c.String(&g.User)
	c.String(&g.Group)
	c.Addr(&g.Address)
	ipv6Fields(c, &g.IPv6)
	frozen.List(c, &g.Routes, c.Prefix)
	frozen.List(c, &g.DNS, c.Addr)
	c.String(&g.Domain)
	frozen.List(c, &g.Split, c.Prefix)
	frozen.Int(c, &g.SessionTimeout)
	frozen.Int(c, &g.IdleTimeout)
	frozen.Int(c, &g.InterimInterval)
	frozen.Int(c, &g.MTU)
	c.String(&g.Interface)
	c.Bool(&g.OwnDevice)
	frozen.List(c, &g.Class, c.Bytes)
	c.Bytes(&g.LogonDomain)
	again := g.Again != nil
	if c.Bool(&again); again {
		c.Bytes(&frozen.New(c, &g.Again).State)
	}
	frozen.Int(c, &g.By)
	c.String(&g.Name)
	linked := g.Link != nil
	if c.Bool(&linked); linked {
		l := frozen.New(c, &g.Link)
		c.Addr(&l.Local)
		c.Bool(&l.IPv6)
		frozen.Int(c, &l.Echo)
		c.String(&l.User)
		c.Secret(&l.Password)
	}
	limitsFields(c, &g.Limits)
	c.String(&g.Pools.IPv4)
	c.String(&g.Pools.IPv6)
	c.String(&g.Pools.Delegated)
	frozen.List(c, &g.Filters, c.String)
	frozen.List(c, &g.NBNS, c.Addr)
	c.Time(&g.Until)
}

func limitsFields(c *frozen.Codec, l *auth.Limits) {
	for _, r := range []*limit.Rate{&l.Rates.In, &l.Rates.Out} {
		frozen.Int(c, r)
	}
	for _, o := range []*limit.Octets{&l.Rates.BurstIn, &l.Rates.BurstOut, &l.Quota.In, &l.Quota.Out, &l.Quota.Total, &l.Day, &l.Month} {
		frozen.Int(c, o)
	}
	rule := func(r *limit.Rule) { ruleFields(c, r) }
	frozen.List(c, &l.Garden, rule)
	frozen.List(c, &l.Filter, rule)
	frozen.List(c, &l.Hours, func(h *limit.Hours) {
		for i := range h.Days {
			c.Bool(&h.Days[i])
		}
		frozen.Int(c, &h.From)
		frozen.Int(c, &h.To)
	})
	frozen.Int(c, &l.Sessions)
}

func ruleFields(c *frozen.Codec, r *limit.Rule) {
	c.Bool(&r.Out)
	c.Bool(&r.Allow)
	frozen.Int(c, &r.Protocol)
	c.Prefix(&r.Src)
	c.Prefix(&r.Dst)
	ports := func(p *limit.Ports) {
		frozen.Int(c, &p.First)
		frozen.Int(c, &p.Last)
	}
	frozen.List(c, &r.SrcPorts, ports)
	frozen.List(c, &r.DstPorts, ports)
	frozen.Int(c, &r.Flags)
}

func ipv6Fields(c *frozen.Codec, x *auth.IPv6) {
	c.Addr(&x.Address)
	c.Prefix(&x.Prefix)
	c.Prefix(&x.Delegated)
	c.Fixed(x.Interface[:])
}
