package vpn

import (
	"errors"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/l2tp"
)

// control is a connection's L2TP tunnel.
type control struct {
	tunnel     *l2tp.Tunnel
	peerTunnel uint16
	host       string  // the peer's L2TP Host Name
	under      *phase1 // the ISAKMP SA under whose ESP SAs the tunnel began
	stopped    bool    // StopCCN has been sent
	claim      *claim  // the check whether another connection's tunnel belongs to this client; nil: none
	claims     int     // the number of claims so far
}

// ErrNoTunnel says that a control message came while there was no tunnel.
var ErrNoTunnel = errors.New("an L2TP control message before any SCCRQ")

// receiveControl passes an L2TP control message to the tunnel. An SCCRQ that is no
// duplicate replaces the tunnel: the client has lost its state, or its cable was pulled.
// Late says that the message was overtaken on its way.
func (c *Conn) receiveControl(now time.Time, spi uint32, msg []byte, late bool) {
	if c.ended {
		return
	}
	_, begins := l2tp.IsSCCRQ(msg)
	switch {
	case c.bare != nil:
		c.refused(LayerL2TP, ErrNotCarried)
		return
	case begins && c.caller == nil && !c.repeats(now, spi, msg, late):
		if !c.resume(now) {
			c.refuseReturn(now, LayerL2TP)
			return
		}
		c.replaceTunnel(now)
		c.dropClaim()
		c.begun(now, spi)
		c.under = c.phaseOf(spi)
		c.tunnel = l2tp.NewLNS(l2tp.Env{Config: c.policy.tunnel(c.peer.Group), Rand: c.srv.cfg.Rand}, now)
		c.stay(now)
		c.changed = true
	case c.tunnel == nil:
		if !c.claimTunnel(now, spi, msg) {
			c.observe(PacketRefused{Who: c.who(), Layer: LayerL2TP, Why: ErrNoTunnel})
		}
		return
	}
	if err := c.tunnel.HandlePacket(now, msg); err != nil {
		c.observe(PacketRefused{Who: c.who(), Layer: LayerL2TP, Why: err})
	}
}

// repeats reports whether an SCCRQ is a copy of the one that the tunnel answers. A client
// that starts anew may use the same tunnel id, since all of them count from 1, but it has
// a newer ISAKMP SA.
func (c *Conn) repeats(now time.Time, spi uint32, msg []byte, late bool) bool {
	return c.tunnel != nil && slices.Index(c.phases, c.phaseOf(spi)) <= slices.Index(c.phases, c.under) &&
		c.tunnel.Duplicate(now, msg, late)
}

// phaseOf is the ISAKMP SA of the pair with this SPI, or else the newest.
func (c *Conn) phaseOf(spi uint32) *phase1 {
	if p := c.kids.of(spi); p != nil {
		return p.phase
	}
	return c.newest()
}

// replaceTunnel ends the tunnel that a new SCCRQ makes obsolete.
func (c *Conn) replaceTunnel(now time.Time) {
	if c.tunnel == nil {
		return
	}
	if !c.tunnel.Over() {
		c.observe(TunnelDown{Who: c.who(), Replaced: true})
	}
	for len(c.calls) > 0 {
		c.endCall(now, c.calls[0], auth.LostCarrier, 0)
	}
	c.tunnel = nil
	c.user = ""
}

// pumpL2TP drains the events of the tunnel.
func (c *Conn) pumpL2TP(now time.Time) (any bool) {
	for c.tunnel != nil && !c.ended {
		t := c.tunnel
		e, ok := t.NextEvent()
		if !ok {
			break
		}
		any = true
		c.onL2TP(now, t, e)
	}
	return any && !c.ended
}

func (c *Conn) onL2TP(now time.Time, t *l2tp.Tunnel, event l2tp.Event) {
	switch e := event.(type) {
	case l2tp.Send:
		c.sendL2TP(now, e.Data)
	case l2tp.TunnelUp:
		c.reach(stepTunnel)
		c.changed = true
		c.observe(TunnelUp{c.who(), e.Peer})
		c.host = e.Peer.HostName
		c.peerTunnel = e.Peer.Tunnel
		if c.caller != nil {
			c.caller.TunnelUp(now)
		}
	case l2tp.SessionUp:
		c.reach(stepCall)
		c.addCall(now, e.Session, t.RoundTrip())
	case l2tp.SessionDown:
		if s := c.call(e.Local); s != nil {
			cause := auth.UserRequest
			if !e.Remote {
				cause = auth.LostCarrier
			}
			c.endCall(now, s, cause, 0)
			c.idle(now, EndPeer)
		}
	case l2tp.CallFailed:
		c.observe(Noted{c.who(), LayerL2TP, "call failed", e.Result.Code.CallText()})
		c.failed(now, e.Result.Code.CallText())
	case l2tp.TunnelDown:
		c.tunnelDown(now, e)
	case l2tp.Closed:
		if c.tunnel == t {
			c.tunnel = nil
			c.changed = true
		}
	case l2tp.LinkInfo:
		// Only asynchronous links need the ACCM.
	}
}

// tunnelDown leaves time for the peer's IKE Deletes after the peer's goodbye, or before
// ours after a failure.
func (c *Conn) tunnelDown(now time.Time, e l2tp.TunnelDown) {
	c.observe(TunnelDown{Who: c.who(), Result: e.Result, ByPeer: e.Remote, Secret: e.Secret})
	for len(c.calls) > 0 {
		cause := auth.LostCarrier
		if e.Remote {
			cause = auth.UserRequest
		}
		c.endCall(now, c.calls[0], cause, 0)
	}
	if e.Remote {
		c.idle(now, EndPeer)
	} else {
		c.idle(now, EndLost)
	}
	c.failed(now, e.Result.Code.StopText())
}

// idle gives a peer whose last call has ended time to begin another, or to finish its
// goodbye.
func (c *Conn) idle(now time.Time, why End) {
	if len(c.calls) > 0 || !c.drain.IsZero() {
		return
	}
	c.why = why
	c.setup = time.Time{}
	c.linger = now.Add(tunnelLinger)
	if why == EndPeer {
		c.linger = now.Add(redialLinger)
	}
	c.linger = machine.Earliest(c.linger, c.last)
}

// How long ESP SAs outlive their tunnel. Windows deletes them about four seconds after
// the tunnel; xl2tpd, which is restarted after some five to twenty seconds, dials over
// the same ones.
const (
	tunnelLinger = 8 * time.Second
	redialLinger = 30 * time.Second // after the peer has said goodbye
)

func (c *Conn) sendL2TP(now time.Time, b []byte) {
	if c.slot == nil {
		return
	}
	c.publish()
	c.sent = now
	// If it cannot be sent it is lost, like any datagram: both channels repeat.
	_ = c.slot.SendL2TP(b)
}
