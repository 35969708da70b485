package vpn

import (
	"errors"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/gate"
)

// addPhase1 makes an ISAKMP SA with build, and routes its messages to this connection.
func (c *Conn) addPhase1(cookies ike.Cookies, build func(ike.Env) *ike.SA) *phase1 {
	p := &phase1{owner: c, cookies: cookies, half: true}
	p.SA = build(ike.Env{
		Policy:    c.policy.IKE,
		Rand:      c.srv.cfg.Rand,
		NewSPI:    func() uint32 { return p.owner.newSPI() },
		Addresses: c.srv.dialled,
		NATTPorts: c.srv.cfg.NATTPorts,
		Carries:   func(protocol uint8) bool { return p.owner.bareOf(p.Peer(), protocol) != nil },
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

// receiveIKE passes a message to the SA that has its cookies. It enters the gate if the
// message may cost a Diffie-Hellman exchange or a signature, or is a Quick Mode of a peer
// that has no user. It returns false only if no SA has the
// cookies of an IKE message.
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
			if c.caller != nil && p.half && impostor(err) {
				c.failed(now, err.Error())
			}
		}
		if p.half {
			c.kept.Store(int64(p.Held() + len(c.began)))
		}
		c.rename(p)
		return true
	}
	return false
}

// judged records that a peer's authentication was refused, and reports whether that had
// happened before.
func (p *phase1) judged(err error) (again bool) {
	for _, why := range []error{ike.ErrUndecryptable, ike.ErrCertificate, ike.ErrIdentity, ike.ErrSignature} {
		if errors.Is(err, why) {
			again, p.told = p.told, true
		}
	}
	return again
}

// impostor reports whether a server is not the one that it should be. A pre-shared key
// never says so: anybody can send what cannot be decrypted.
func impostor(err error) bool {
	return errors.Is(err, ike.ErrCertificate) || errors.Is(err, ike.ErrIdentity) || errors.Is(err, ike.ErrSignature)
}

func (c *Conn) handleIKE(now time.Time, p *phase1, exchange ike.Exchange, path ike.Path, msg []byte) error {
	group, computes := p.Effort(msg)
	known := c.served || c.caller != nil
	if !computes && (known || exchange != ike.ExchangeQuick) {
		return p.HandlePacket(now, path, msg)
	}
	leave, err := c.srv.gate.Enter(gate.LaneOf(known, group), c.path.Remote.Addr(), p.begun, c.gone)
	if err != nil {
		return err
	}
	failed := true
	defer func() { leave(failed) }()
	err = p.HandlePacket(now, path, msg)
	failed, p.begun = err != nil, true
	return err
}

// rename claims the full cookies once the responder's cookie is known.
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

// onIKE handles one event. It returns the connection to which the SA turned out to
// belong, if that is another.
func (c *Conn) onIKE(now time.Time, p *phase1, event ike.Event) (joins *Conn) {
	switch e := event.(type) {
	case ike.Send:
		c.publish() // the inbound SA must receive before the message that announces it leaves
		c.kids.answered(p, e.Path.Remote.Addr())
		p.asked.went(e.Path.Remote.Addr())
		c.srv.sendIKE(e.Path, e.Data)
	case ike.Authenticated:
		return c.authenticated(now, p, e)
	case ike.Fresh:
		if e.Path.Marker && !p.half && !p.unheard && !c.suspects(p) && c.parked == nil {
			c.move(now, e.Path)
		}
	case ike.ChildReceiving:
		c.reach(stepChild)
		c.addChild(now, p, e.Child)
	case ike.ChildSending:
		c.agreed(now, e.InSPI)
	case ike.ChildAsked:
		c.settleBy(now, e.InSPI)
	case ike.ChildFailed:
		c.observe(ChildFailed{c.who(), e})
		c.told = true
		c.dropChild(now, e.InSPI)
		c.failed(now, e.Why.String())
	case ike.ChildDeleted:
		c.deleteParked(e.OutSPI)
		c.deleteChild(now, e.OutSPI)
	case ike.Alive:
		if !c.suspects(p) || p == c.newest() {
			c.answer, c.asked = now, time.Time{}
		}
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
		c.phaseEnded(now, p, e.Why)
	}
	return nil
}

// phaseEnded tells a caller why its phase 1 failed, or has the last one renewed.
func (c *Conn) phaseEnded(now time.Time, p *phase1, why ike.Reason) {
	switch {
	case c.caller == nil:
	case p.half && c.slot == nil:
		c.failed(now, "phase 1 of IKE: "+why.String())
	case c.newest() == nil:
		c.renewPhase(now)
	}
}

// authenticated finds the connection that a phase 1 belongs to: one with the same
// authenticated endpoint, pre-shared key and identification, otherwise this one.
func (c *Conn) authenticated(now time.Time, p *phase1, e ike.Authenticated) (joins *Conn) {
	p.half = false
	if c.caller == nil && len(c.phases) == 1 && c.slot == nil {
		if other := c.srv.at(e.Path.Remote); other != nil && other != c && other.caller == nil && !other.leaves.Load() && other.leavesTime(now) && other.matches(e.Peer, e.Path) {
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

// found makes this the connection of a phase 1. The peer received message 4 at the
// address heard.
func (c *Conn) found(now time.Time, p *phase1, e ike.Authenticated, heard netip.Addr) {
	if c.caller == nil && !e.Peer.Encap && !c.srv.plane.SendsESP(e.Path.Local.Addr()) {
		c.finish(now, EndNoESP)
		return
	}
	if c.slot == nil && !c.place(now, p) {
		return
	}
	c.identity(e.Peer, heard)
	c.path, c.peer = e.Path, e.Peer
	if c.srv.policy.Load() != c.policy && c.caller == nil {
		// The policy was replaced during the handshake, and the check for revoked
		// certificates has already been made.
		defer c.recheck(now)
	}
	if c.caller == nil || c.kids.sending == nil { // a client that only renews has its user
		c.miss(now)
		c.hurry(now)
	}
	c.srv.known(c)
	c.changed = true
	if c.parked == nil { // otherwise it was already reported
		c.logPhaseKey(p)
		c.observe(PhaseOneUp{c.who(), e.Peer, false})
	}
	if c.caller == nil {
		return
	}
	c.calling.rephase = renewalOf(now, e.Peer.Lifetime)
	switch {
	case c.kids.sending == nil:
		c.caller.PhaseOneUp(now)
	case c.bare != nil && len(c.phases) == 1:
		// The peer has ended the last one, and perhaps forgotten all: nothing but keys asks
		// whether its end of the tunnel is there.
		c.succeed(now, p, c.kids.sending)
	}
}

// place finds the connection a place in the data path, or else ends it. Then message 6,
// which would announce success, is not sent.
func (c *Conn) place(now time.Time, p *phase1) bool {
	if c.caller == nil && !c.srv.admit(c) {
		p.half = true
		c.finish(now, EndFull)
		return false
	}
	slot, err := c.srv.plane.NewSlot(c)
	if err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err})
		p.half = true
		c.finish(now, EndFull)
		return false
	}
	c.slot = slot
	return true
}

// dropDeadPhases removes SAs that have ended. A connection that never had an
// authenticated phase 1 ends with its last one.
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

// newest is the newest authenticated ISAKMP SA, nil if there is none. It prefers one
// whose peer has shown that it has the tunnel, and then one whose peer has shown that it
// is at the endpoint.
func (c *Conn) newest() (best *phase1) {
	rank := func(p *phase1) int {
		switch {
		case p.unheard:
			return 0
		case c.suspects(p):
			return 1
		}
		return 2
	}
	for i := len(c.phases) - 1; i >= 0; i-- {
		if p := c.phases[i]; !p.half && !p.dead && (best == nil || rank(p) > rank(best)) {
			best = p
		}
	}
	return best
}
