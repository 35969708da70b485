package vpn

import (
	"errors"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
)

// addPhase1 makes an ISAKMP SA with build and routes its messages here.
func (c *Conn) addPhase1(cookies ike.Cookies, build func(ike.Env) *ike.SA) *phase1 {
	p := &phase1{owner: c, cookies: cookies, half: true}
	p.SA = build(ike.Env{
		Policy:    c.policy.IKE,
		Rand:      c.srv.cfg.Rand,
		NewSPI:    func() uint32 { return p.owner.newSPI() },
		Addresses: c.srv.dialled,
		NATTPorts: c.srv.cfg.NATTPorts,
	})
	p.cookies = p.Cookies()
	c.phases = append(c.phases, p)
	c.srv.claim(p.cookies, c)
	return p
}

func (c *Conn) newSPI() uint32 {
	if c.slot == nil {
		return 0
	}
	return c.slot.NewSPI()
}

// receiveIKE hands a message to the SA whose cookies it carries, behind the
// gate: phase 1 and Quick Mode may cost a Diffie-Hellman exchange, or a
// signature. It reports whether there is one, or the message is none.
func (c *Conn) receiveIKE(now time.Time, path ike.Path, msg []byte) bool {
	h, err := ike.Peek(msg)
	if err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err})
		return true
	}
	for _, p := range c.phases {
		if p.cookies != h.Cookies && (p.cookies.Responder != [8]byte{} || p.cookies.Initiator != h.Cookies.Initiator) {
			continue
		}
		if p.unheard && path != c.path {
			c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: ErrElsewhere})
			return true
		}
		if err := c.handleIKE(now, p, h.Exchange, path, msg); err != nil {
			c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err, Again: p.judged(err)})
		}
		c.rename(p)
		return true
	}
	return false
}

// judged notes that a peer's proof of who it is was refused, and reports whether
// that happened before.
func (p *phase1) judged(err error) (again bool) {
	for _, why := range []error{ike.ErrUndecryptable, ike.ErrCertificate, ike.ErrIdentity, ike.ErrSignature} {
		if errors.Is(err, why) {
			again, p.told = p.told, true
		}
	}
	return again
}

func (c *Conn) handleIKE(now time.Time, p *phase1, exchange ike.Exchange, path ike.Path, msg []byte) error {
	if exchange != ike.ExchangeInformational {
		leave, ok := c.srv.gate.enter(!p.half, c.gone)
		if !ok {
			return ErrEvicted
		}
		defer leave()
	}
	return p.HandlePacket(now, path, msg)
}

// rename claims the full cookies once the responder's is known.
func (c *Conn) rename(p *phase1) {
	if full := p.Cookies(); full != p.cookies {
		c.srv.unclaim(p.cookies, c)
		p.cookies = full
		c.srv.claim(full, c)
	}
}

// pumpIKE drains the events of every ISAKMP SA.
func (c *Conn) pumpIKE(now time.Time) (any bool) {
	var joins *Conn
	for _, p := range c.phases {
		for {
			e, ok := p.NextEvent()
			if !ok {
				break
			}
			any = true
			if to := c.onIKE(now, p, e); to != nil {
				joins = to
			}
		}
	}
	c.dropDeadPhases()
	if joins != nil {
		c.join(now, joins)
	}
	return any && !c.ended
}

// onIKE acts on one event. It returns the connection that the SA turned out
// to belong to, if that is another.
func (c *Conn) onIKE(now time.Time, p *phase1, event ike.Event) (joins *Conn) {
	switch e := event.(type) {
	case ike.Send:
		c.publish() // an inbound SA is live before the message that announces it leaves
		c.kids.answered(p, e.Path.Remote.Addr())
		p.asked.went(e.Path.Remote.Addr())
		c.srv.sendIKE(e.Path, e.Data)
	case ike.Authenticated:
		return c.authenticated(now, p, e)
	case ike.Fresh:
		if e.Path.Marker && !p.half && !p.unheard && c.parked == nil {
			c.move(now, e.Path)
		}
	case ike.ChildReceiving:
		c.addChild(now, p, e.Child)
	case ike.ChildSending:
		c.agreed(now, e.InSPI)
	case ike.ChildAsked:
		c.settleBy(now, e.InSPI)
	case ike.ChildFailed:
		c.observe(ChildFailed{c.who(), e})
		c.told = true
		c.dropChild(e.InSPI)
		c.dialFailed(now, e.Why.String())
	case ike.ChildDeleted:
		c.deleteParked(e.OutSPI)
		c.deleteChild(now, e.OutSPI)
	case ike.Alive:
		c.alive, c.asked = now, time.Time{}
	case ike.InitialContact:
		// INITIAL-CONTACT closes nothing: clients behind one NAT share an address.
	case ike.Note:
		c.observe(Noted{c.who(), LayerIKE, e.Kind.String(), e.What()})
	case ike.Closed:
		p.dead = true
		if e.Why == ike.ReasonDead && !p.unheard {
			c.unanswered(now)
		}
		c.observe(PhaseOneDown{Who: c.who(), Why: e.Why, Authenticated: !p.half, Told: p.told})
	}
	return nil
}

// authenticated finds the connection that a phase 1 belongs to: one whose
// authenticated endpoint, pre-shared key and identification are the same, else
// this one.
func (c *Conn) authenticated(now time.Time, p *phase1, e ike.Authenticated) (joins *Conn) {
	p.half = false
	if c.dialer == nil && len(c.phases) == 1 && c.slot == nil {
		if other := c.srv.at(e.Path.Remote); other != nil && other != c && !other.leaves.Load() && other.matches(e.Peer, e.Path) {
			heard := c.path.Remote.Addr()
			c.peer, c.path = e.Peer, e.Path
			if other.reached(heard) {
				return other
			}
			c.park(p, other, e, heard)
			return nil
		}
	}
	c.found(now, p, e, c.path.Remote.Addr())
	return nil
}

// found makes this the connection of a phase 1, whose message 4 was received at
// an address.
func (c *Conn) found(now time.Time, p *phase1, e ike.Authenticated, heard netip.Addr) {
	if c.dialer == nil && !e.Peer.Encap && !c.srv.plane.SendsESP(e.Path.Local.Addr()) {
		c.finish(now, EndNoESP)
		return
	}
	if c.slot == nil {
		if c.dialer == nil && !c.srv.admit(c) {
			c.finish(now, EndCrowded)
			return
		}
		slot, err := c.srv.plane.NewSlot(c)
		if err != nil {
			c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err})
			c.finish(now, EndEvicted)
			return
		}
		c.slot = slot
	}
	c.identity(e.Peer, heard)
	c.path, c.peer = e.Path, e.Peer
	if c.srv.policy.Load() != c.policy && c.dialer == nil {
		// Its policy was exchanged while it shook hands: what was revoked thereby
		// has been looked for already.
		defer c.recheck(now)
	}
	c.setup = now.Add(c.policy.SetupTimeout)
	c.srv.known(c)
	c.changed = true
	if c.parked == nil { // else it was said then
		c.logPhaseKey(p)
		c.observe(PhaseOneUp{c.who(), e.Peer, false})
	}
	c.dialPhaseOneUp(now, p)
}

// dropDeadPhases forgets SAs that have ended. A connection that has no
// authenticated phase 1 and never had one ends with its last.
func (c *Conn) dropDeadPhases() {
	live := c.phases[:0]
	for _, p := range c.phases {
		if p.dead {
			c.srv.unclaim(p.cookies, c)
			continue
		}
		live = append(live, p)
	}
	clear(c.phases[len(live):])
	c.phases = live
}

// newest is the newest authenticated ISAKMP SA, nil if there is none: one whose
// peer has shown that it is here, as long as there is one.
func (c *Conn) newest() (unheard *phase1) {
	for i := len(c.phases) - 1; i >= 0; i-- {
		p := c.phases[i]
		switch {
		case p.half || p.dead:
		case !p.unheard:
			return p
		case unheard == nil:
			unheard = p
		}
	}
	return unheard
}

func (c *Conn) logPhaseKey(p *phase1) {
	if c.policy.KeyLog == nil {
		return
	}
	initiator, key := p.PhaseKey()
	c.policy.KeyLog.IKE(initiator, key)
}
