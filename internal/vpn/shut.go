package vpn

import (
	"errors"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// farewell is the state of a connection that is ending.
type farewell struct {
	linger time.Time // when the connection ends, if it has no tunnel or no ESP SAs
	drain  time.Time // when goodbyes must be finished; zero: not closing
	ended  bool
	why    End
	detail string // what could not be agreed, in addition to why
}

// shut begins the teardown, whichever side starts it. It is idempotent. User traffic
// stops, and PPP and L2TP say goodbye inside ESP. Once these goodbyes are acknowledged,
// or the drain time is over, finish does the rest.
func (c *Conn) shut(now time.Time, why End) {
	if c.ended || !c.drain.IsZero() {
		return
	}
	c.why = why
	c.leaves.Store(true)
	c.drain = now.Add(c.policy.DrainTimeout)
	c.setup, c.linger = time.Time{}, time.Time{}
	for _, s := range c.calls {
		s.Close(now, why.link())
	}
	c.unbear(now)
}

// ErrLeaving says that a peer was refused because it came back while its old connection
// was saying goodbye.
var ErrLeaving = errors.New("the connection it belongs to is being closed")

// resume cancels a goodbye that is in progress, because the peer came back: it has not
// heard the goodbye, or has said its own. It reports whether that is allowed. It is not
// if the server is stopping, if the certificate is no longer accepted, or if the peer has
// not brought a user in time.
func (c *Conn) resume(now time.Time) bool {
	if c.drain.IsZero() {
		return true
	}
	if c.why == EndServerStop || c.why == EndCertificate || c.caller != nil || due(c.last, now) {
		return false
	}
	c.drain, c.stopped = time.Time{}, false
	c.leaves.Store(false)
	c.stay(now)
	return true
}

// refuseReturn ends a goodbye that cannot be cancelled. The peer has come back and does
// not wait for the rest of it, so Deletes tell it.
func (c *Conn) refuseReturn(now time.Time, layer Layer) {
	if c.caller != nil {
		return
	}
	c.observe(PacketRefused{Who: c.who(), Layer: layer, Why: ErrLeaving})
	c.finish(now, c.why)
}

// pumpShut sends StopCCN once every link of a closing connection is down. It reports
// whether it did.
func (c *Conn) pumpShut(now time.Time) bool {
	if c.drain.IsZero() || c.stopped || c.tunnel == nil || len(c.calls) > 0 {
		return false
	}
	c.stopped = true
	result := l2tp.Result{Code: l2tp.StopRequest, Message: c.detail}
	if c.why == EndAdmin || c.why == EndServerStop {
		result.Code = l2tp.StopShutdown
	}
	c.tunnel.Close(now, result)
	return true
}

// mayEnd reports whether there is nothing left to wait for.
func (c *Conn) mayEnd() bool {
	if !c.drain.IsZero() {
		return c.tunnel == nil || c.tunnel.Over() || c.kids.sending == nil
	}
	if len(c.phases) > 0 {
		return false
	}
	if c.slot == nil {
		switch {
		case c.why != 0:
		case c.parked != nil:
			c.why = EndPeer
		default:
			c.why = EndPhaseOne
		}
		return true
	}
	if len(c.kids.pairs) == 0 {
		// No ISAKMP SA and no ESP SA: the peer has gone.
		if c.why == 0 {
			c.why = EndPeer
		}
		return true
	}
	return false
}

// fade gives a peer without ESP SAs some time to negotiate new ones.
func (c *Conn) fade(now time.Time) {
	if c.linger.IsZero() && c.drain.IsZero() {
		c.linger = now.Add(tunnelLinger)
	}
}

// stay cancels a linger: the peer continues. Without a user, it gets the time of a
// newcomer to bring one. Otherwise it could stay for ever with nothing but new keys.
func (c *Conn) stay(now time.Time) {
	if c.drain.IsZero() {
		c.linger, c.why, c.detail = time.Time{}, 0, ""
	}
	if c.user == "" && c.setup.IsZero() && c.caller == nil && c.drain.IsZero() {
		c.hurry(now)
	}
}

// lingerEnd is why a connection ends when its time without ESP SAs or without a tunnel is
// over.
func (c *Conn) lingerEnd() End {
	switch {
	case c.why != 0:
		return c.why
	case c.kids.sending == nil && c.newest() != nil:
		return EndKeys
	default:
		return EndPeer
	}
}

// finish releases everything at once. It is idempotent, and nothing happens to a
// connection after it.
func (c *Conn) finish(now time.Time, why End) {
	if c.ended {
		return
	}
	c.ended, c.why = true, why
	for len(c.calls) > 0 {
		c.endCall(now, c.calls[0], session.CauseOf(why.link()), why.link())
	}
	c.unbear(now)
	c.deleteSAs(now)
	for len(c.kids.pairs) > 0 {
		c.retire(now, c.kids.pairs[0], ChildClosed)
	}
	c.tunnel = nil
	c.dropClaim()
	if c.slot != nil {
		c.slot.Free(now)
		c.slot = nil
	}
	c.show(nil)
	c.srv.forget(c)
	c.discard()
	c.doubt.end()
	c.doubt = nil
	if c.caller != nil {
		c.caller.Ended(why)
	}
	c.observe(ConnDown{Who: c.who(), Why: why, Detail: c.detail, Lifetime: now.Sub(c.born), Told: c.told})
}

// discard drops the messages that wait for a connection that has ended.
func (c *Conn) discard() {
	for _, n := range c.early {
		c.srv.drop(pathOf(n), ErrUnknownSA)
	}
	c.early = nil
	for n, ok := c.takeNote(); ok; n, ok = c.takeNote() {
		if n.Kind == dataplane.NoteIKE {
			c.srv.drop(pathOf(n), ErrUnknownSA)
		}
	}
}

// deleteSAs tells the peer that our SAs are gone, ESP first.
func (c *Conn) deleteSAs(now time.Time) {
	if p := c.newest(); p != nil {
		var spis []uint32
		for _, k := range c.kids.pairs {
			if !k.deleted {
				spis = append(spis, k.InSPI)
			}
		}
		if len(spis) > 0 {
			p.DeleteChildren(now, spis)
		}
	}
	for _, p := range c.phases {
		if !p.half {
			p.Close(now, ike.ReasonLocal)
		}
		for {
			e, ok := p.NextEvent()
			if !ok {
				break
			}
			if send, ok := e.(ike.Send); ok && !p.half {
				c.srv.sendIKE(send.Path, send.Data)
			}
		}
		c.srv.unclaim(p.cookies, c)
	}
	c.phases = nil
}

// link is the Reason of a PPP link whose connection ends for this End.
func (e End) link() ppp.Reason {
	switch e {
	case EndAdmin, EndCertificate:
		return ppp.ReasonAdmin
	case EndServerStop:
		return ppp.ReasonServerStop
	case EndUserTimeout:
		return ppp.ReasonSessionTimeout
	case EndQuota:
		return ppp.ReasonQuota
	case EndReplaced:
		return ppp.ReasonReplaced
	case EndPreempted:
		return ppp.ReasonPreempted
	case EndPeer:
		return ppp.ReasonPeerTerminated
	case EndSetup:
		return ppp.ReasonSetupTimeout
	case EndAuth:
		return ppp.ReasonAuthFailed
	case EndMethod:
		return ppp.ReasonAuthRefused
	case EndNegotiation:
		return ppp.ReasonNegotiation
	case EndNoAddress:
		return ppp.ReasonNoAddress
	case EndPanic:
		return ppp.ReasonInternal
	case EndLost, EndPhaseOne, EndEvicted, EndAdopted, EndKeys, EndCrowded, EndFull, EndNoESP, EndMoved:
		return ppp.ReasonLowerLayer
	}
	return ppp.ReasonLowerLayer
}

// Disconnect ends the connections that match, in an orderly way, and returns their
// number.
func (s *Server) Disconnect(match func(Status) bool) int {
	n := 0
	for _, c := range s.all() {
		st := c.info.Load()
		if st == nil || !match(c.snapshot(st)) {
			continue
		}
		n++
		c.do(func(now time.Time) { c.shut(now, EndAdmin) })
	}
	return n
}
