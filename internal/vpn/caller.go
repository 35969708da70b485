package vpn

import (
	"net/netip"
	"slices"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/gate"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Caller is the client's side of a connection: it decides what the machines, in their
// client roles, do next. Its methods are called on the connection's goroutine and must
// not block.
type Caller interface {
	Heard(now time.Time)      // a control message of the peer has come
	PhaseOneUp(now time.Time) // the server has authenticated itself, and there are no ESP SAs yet
	ChildUp(now time.Time)    // a pair of ESP SAs carries traffic
	TunnelUp(now time.Time)
	NetworkUp(now time.Time, e ppp.NetworkUp, data *dataplane.Session)
	NetworkDown(now time.Time) // after NetworkUp: nothing passes any more
	Network6Up(e ppp.Network6Up)
	Packet(b []byte) // a broadcast, multicast or link-local packet; borrowed for the call
	Failed(now time.Time, why string)
	Ended(why End)
}

// Calling is how a connection is placed.
type Calling struct {
	Path   ike.Path    // to the server's IKE port
	Policy *Policy     // what this connection offers and accepts; nil: the server's
	PPP    *ppp.Config // as a client

	// Peer authenticates the server, if it authenticates itself; nil: nobody does.
	Peer auth.Backend

	// Device is the session's own, which Config.Ports has; "": the common one, of which
	// packets from our address go to the server.
	Device   string
	Bare     *Bare          // in place of L2TP, PPP and the user; nil: those
	Call     uint64         // for Ports: which call this is
	Networks []netip.Prefix // what may come from the server through Device, beside its own address; nil: anything
}

// Placed is a connection that we place as a client. Do and Done are safe for concurrent
// use; all other methods are called on the connection's goroutine, by Do or by the
// Caller.
type Placed struct{ c *Conn }

// calling is how a connection was placed, and what it does by itself.
type calling struct {
	Calling
	rephase time.Time // when it renews phase 1; zero: never
}

// device is the link's for which we have placed the connection; "": for none.
func (c *Conn) device() string {
	if c.calling == nil {
		return ""
	}
	return c.calling.Device
}

// rephaseAt is when phase 1 is to be renewed; zero: never.
func (c *Conn) rephaseAt() time.Time {
	if c.calling == nil {
		return time.Time{}
	}
	return c.calling.rephase
}

// Place returns a connection to another server. It waits for Begin. Place returns nil if
// this server is stopping.
func (s *Server) Place(how Calling) *Placed {
	c := s.makeConn(time.Now(), how.Path)
	c.calling = &calling{Calling: how}
	if how.Policy != nil {
		c.policy = how.Policy
	}
	if s.enlist(c) == nil {
		return nil
	}
	return &Placed{c}
}

// Begin begins phase 1.
func (p *Placed) Begin(by Caller) {
	c := p.c
	c.caller = by
	if leave, err := c.srv.gate.Enter(gate.Users, c.path.Remote.Addr(), false, c.gone); err == nil {
		p.Phase1(time.Now(), c.path)
		leave(false)
	}
	c.start()
}

// Do runs f on the connection's goroutine, unless the connection has ended.
func (p *Placed) Do(f func(now time.Time)) { p.c.do(f) }

// Done is closed when the connection has ended.
func (p *Placed) Done() <-chan struct{} { return p.c.done }

// Path is the connection's present path.
func (p *Placed) Path() ike.Path { return p.c.path }

// Phase1 begins a phase 1 over this path, in addition to those that exist.
func (p *Placed) Phase1(now time.Time, path ike.Path) {
	p.c.addPhase1(ike.Cookies{}, func(env ike.Env) *ike.SA { return ike.Initiate(env, path, now) })
}

// Negotiate begins a Quick Mode on the newest phase 1, if there is one.
func (p *Placed) Negotiate(now time.Time, child ike.ChildRequest) error {
	if sa := p.c.newest(); sa != nil {
		return sa.Negotiate(now, child)
	}
	return nil
}

// DeleteOld deletes all confirmed pairs except the sending one, as built-in clients do.
// When both ends renewed at once, that is not always the pair that was confirmed last.
// The deleted pairs receive for a while longer, since packets may be on their way.
func (p *Placed) DeleteOld(now time.Time) {
	c := p.c
	var spis []uint32
	for _, k := range c.kids.pairs {
		if k == c.kids.sending || !k.confirmed || k.deleted {
			continue
		}
		spis = append(spis, k.InSPI)
		k.deleted, k.renewed, k.expires = true, true, now.Add(deletedGrace)
	}
	if sa := c.newest(); sa != nil && len(spis) > 0 {
		sa.DeleteChildren(now, spis)
	}
}

// Tunnel begins an L2TP tunnel, if there is none.
func (p *Placed) Tunnel(now time.Time) {
	c := p.c
	if c.tunnel == nil {
		c.tunnel = l2tp.NewLAC(l2tp.Env{Config: c.policy.L2TP, Rand: c.srv.cfg.Rand}, now)
		c.changed = true
	}
}

// Call begins a session in an established tunnel.
func (p *Placed) Call(now time.Time, call l2tp.Call) error {
	_, err := p.c.tunnel.Call(now, call)
	return err
}

// StopTunnel ends only the tunnel, if there is one.
func (p *Placed) StopTunnel(now time.Time) {
	if p.c.tunnel != nil {
		p.c.tunnel.Close(now, l2tp.Result{Code: l2tp.StopRequest})
	}
}

// Send sends one PPP frame to the server.
func (p *Placed) Send(now time.Time, frame []byte) {
	for _, s := range p.c.calls {
		p.c.sendFrame(now, s, frame)
	}
}

// Own sends the device's packets from this prefix through the connection.
func (p *Placed) Own(own netip.Prefix) {
	c := p.c
	for _, s := range c.calls {
		if err := c.srv.plane.Route(own, c.slot, s.data); err != nil {
			c.refused(LayerPPP, err)
			continue
		}
		s.prefixes = append(s.prefixes, own)
	}
}

// Close says goodbye on every layer.
func (p *Placed) Close(now time.Time, why End) { p.c.shut(now, why) }

// Drop ends the connection at once: with Deletes or, if silent, without any message, as
// if the cable had been pulled.
func (p *Placed) Drop(now time.Time, silent bool) {
	c := p.c
	if silent {
		for _, sa := range c.phases {
			c.srv.unclaim(sa.cookies, c)
		}
		c.phases = nil
	}
	c.finish(now, EndAdmin)
}

// Refused reports what the connection's own machines refused.
func (p *Placed) Refused(layer Layer, err error) { p.c.refused(layer, err) }

func (c *Conn) refused(layer Layer, err error) {
	c.observe(PacketRefused{Who: c.who(), Layer: layer, Why: err})
}

// carryOwn routes packets from the client's own address through the session, and tells
// the caller.
func (c *Conn) carryOwn(now time.Time, s *call, e ppp.NetworkUp) {
	c.setup = time.Time{}
	if c.calling.Device != "" {
		c.carryDevice(now, s, e)
		return
	}
	own := netip.PrefixFrom(e.Network.Peer, e.Network.Peer.BitLen())
	s.prefixes = []netip.Prefix{own}
	s.data.SetNetwork([]netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}, int(e.MTU))
	if err := c.srv.plane.Route(own, c.slot, s.data); err != nil {
		c.failed(now, err.Error())
		return
	}
	c.changed = true
	c.publish()
	c.caller.NetworkUp(now, e, s.data)
}

// carryDevice has the session's own device lead to it.
func (c *Conn) carryDevice(now time.Time, s *call, e ppp.NetworkUp) {
	s.route = session.Route{Networks: c.calling.Networks, MTU: min(int(e.MTU), c.policy.MTU), Wire: &session.Wire{
		User: c.calling.PPP.User, Device: c.calling.Device, Call: c.calling.Call, Local: e.Network.Peer, Peer: e.Network.Local,
		Method: s.Method(),
	}}
	switch peer := e.Network.Local; {
	case s.route.Networks == nil:
		s.route.Networks = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	case peer.IsValid():
		s.route.Networks = append(slices.Clip(s.route.Networks), netip.PrefixFrom(peer, peer.BitLen()))
	}
	if !c.leadDevice(now, s) {
		return
	}
	c.caller.NetworkUp(now, e, s.data)
}

// leadDevice has the device lead to the session, with its present addresses. If that cannot
// be, the connection ends.
func (c *Conn) leadDevice(now time.Time, s *call) bool {
	if err := c.attach(s, s.route); err != nil {
		c.failed(now, err.Error())
		c.shut(now, EndReplaced)
		return false
	}
	s.data.SetNetwork(s.route.Networks, s.route.MTU)
	s.port.Lead(c.slot, s.data)
	c.changed = true
	c.publish()
	return true
}

// carry6 tells the device and the caller that IPV6CP is open.
func (c *Conn) carry6(now time.Time, s *call, e ppp.Network6Up) {
	if c.calling.Device != "" && s.route.Wire != nil {
		own := *s.route.Wire
		own.Local6, own.Peer6 = e.Network.Peer.LinkLocal(), e.Network.Local.LinkLocal()
		s.route.Wire = &own
		if !c.leadDevice(now, s) {
			return
		}
	}
	c.caller.Network6Up(e)
}

// dropOwn ends what carryOwn began.
func (c *Conn) dropOwn(now time.Time, s *call) {
	s.data.SetNetwork(nil, 0)
	c.detach(s)
	for _, p := range s.prefixes {
		c.srv.plane.Unroute(p, s.data)
	}
	s.prefixes = nil
	if c.caller != nil {
		c.caller.NetworkDown(now)
	}
}

// placedTwin is the connection that we have placed to this connection's peer, if all that
// the peer has brought is a phase 1: a server renews it, too, and has given up the old one.
// If it wanted to call, it would have done so by now. nil: there is none.
func (c *Conn) placedTwin() *Conn {
	own := c.ident.Load()
	if own == nil || c.calling != nil || len(c.phases) != 1 || c.phases[0].half || len(c.kids.pairs) > 0 || c.tunnel != nil {
		return nil
	}
	for _, other := range c.srv.allOutgoing() {
		id, st := other.ident.Load(), other.info.Load()
		if other.calling != nil && st != nil && st.Remote == c.path.Remote && !other.leaves.Load() && id != nil && id.same(own) {
			return other
		}
	}
	return nil
}

// renewPhase begins a new phase 1 before the present one's lifetime is over, or when the
// last one has ended: the client renews it, not the server.
func (c *Conn) renewPhase(now time.Time) {
	c.calling.rephase = time.Time{}
	if c.caller != nil && c.slot != nil && c.drain.IsZero() && c.kids.sending != nil {
		(&Placed{c}).Phase1(now, c.path)
	}
}

// renewalOf is when a phase 1 is to be renewed that begins now.
func renewalOf(now time.Time, lifetime time.Duration) time.Time {
	return now.Add(lifetime - min(5*time.Minute, lifetime/10))
}

// failed tells the caller why something it asked for failed. Nobody else is told.
func (c *Conn) failed(now time.Time, why string) {
	if c.caller != nil {
		c.caller.Failed(now, why)
	}
}
