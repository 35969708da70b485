package vpn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Dial is how a connection is placed as a client: the same machines in their
// other roles.
type Dial struct {
	Path  ike.Path // to the server's IKE port
	PPP   *ppp.Config
	Call  l2tp.Call
	Child ike.ChildRequest

	// Packets, if set, receives the IP packets that the data path hands to the
	// control side: broadcast, multicast, link-local. It is called on the
	// connection's goroutine, the packet is borrowed.
	Packets func([]byte)

	// Network6, if set, is told that IPV6CP is open, on the connection's
	// goroutine. The client's addresses are for its own host to find, with
	// Packets and SendIP; Own lets them send.
	Network6 func(ppp.Network6Up)

	// Silent leaves without a word if the context ends before the network is
	// up, as a peer does whose plug is pulled.
	Silent bool
}

// Dialled is one connection that was placed.
type Dialled struct {
	conn    *Conn
	Network ppp.Network
	Session *dataplane.Session
}

// dialer is a connection's client side. It belongs to its goroutine.
type dialer struct {
	Dial
	ppp    *ppp.Config
	result chan error // one value
	told   bool
	net    ppp.Network
	data   *dataplane.Session

	keysOnly bool // no tunnel any more
}

// Dial places a connection and returns once IP may flow. It fails when ctx
// ends, or with the layer's own reason.
func (s *Server) Dial(ctx context.Context, d Dial) (*Dialled, error) {
	c := s.newConn(time.Now(), d.Path)
	if c == nil {
		return nil, errors.New("the server is stopping")
	}
	c.dialer = &dialer{Dial: d, ppp: d.PPP, result: make(chan error, 1)}
	result := c.dialer.result
	if leave, ok := s.gate.enter(false, c.gone); ok {
		c.addPhase1(ike.Cookies{}, func(env ike.Env) *ike.SA { return ike.Initiate(env, d.Path, time.Now()) })
		leave()
	}
	c.start()
	select {
	case err := <-result:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		c.do(func(now time.Time) {
			if d.Silent {
				c.hush()
			}
			c.finish(now, EndAdmin)
		})
		return nil, ctx.Err()
	}
	return &Dialled{conn: c, Network: c.dialer.net, Session: c.dialer.data}, nil
}

// Close says goodbye on every layer and waits until that is done.
func (d *Dialled) Close() {
	d.conn.do(func(now time.Time) { d.conn.shut(now, EndAdmin) })
	<-d.conn.done
}

// SendIP sends one IP packet, whatever its addresses are. It is copied.
func (d *Dialled) SendIP(b []byte) {
	b = append([]byte(nil), b...)
	c := d.conn
	c.do(func(now time.Time) {
		for _, s := range c.calls {
			c.sendIP(now, s, b)
		}
	})
}

// Own sends packets from this prefix, of the device, through the connection.
func (d *Dialled) Own(p netip.Prefix) {
	c := d.conn
	c.do(func(time.Time) {
		for _, s := range c.calls {
			if err := c.srv.plane.Route(p, c.slot, s.data); err != nil {
				c.observe(PacketRefused{Who: c.who(), Layer: LayerPPP, Why: err})
				continue
			}
			s.prefixes = append(s.prefixes, p)
		}
	})
}

// Vanish ends without a word, as if the plug were pulled.
func (d *Dialled) Vanish() {
	d.conn.do(func(now time.Time) {
		d.conn.hush()
		d.conn.finish(now, EndAdmin)
	})
	<-d.conn.done
}

// hush forgets the ISAKMP SAs, so that nobody is told of the end.
func (c *Conn) hush() {
	for _, p := range c.phases {
		c.srv.unclaim(p.cookies, c)
	}
	c.phases = nil
}

// Done is closed when the connection has ended.
func (d *Dialled) Done() <-chan struct{} { return d.conn.done }

// Rekey begins a Quick Mode for a new pair of ESP SAs.
func (d *Dialled) Rekey(child ike.ChildRequest) {
	c := d.conn
	c.do(func(now time.Time) {
		if p := c.newest(); p != nil {
			if err := p.Negotiate(now, child); err != nil {
				c.observe(PacketRefused{Who: c.who(), Layer: LayerIKE, Why: err})
			}
		}
	})
}

// Rephase begins a new phase 1 beside the one that is there, on the same ports.
func (d *Dialled) Rephase() { d.RephaseOn(ike.Path{}) }

// RephaseOn begins one over path, or where the connection is if path is zero.
func (d *Dialled) RephaseOn(path ike.Path) {
	c := d.conn
	c.do(func(now time.Time) {
		if path == (ike.Path{}) {
			path = c.path
		}
		c.addPhase1(ike.Cookies{}, func(env ike.Env) *ike.SA { return ike.Initiate(env, path, now) })
	})
}

// Reauthenticate has LCP negotiate afresh, whereupon the link authenticates as
// this user.
func (d *Dialled) Reauthenticate(user, password string) {
	c := d.conn
	c.do(func(now time.Time) {
		c.dialer.ppp.User, c.dialer.ppp.Password = user, secret.String(password)
		for _, s := range c.calls {
			c.sendFrame(now, s, []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad, 0, 4}) // Configure-Request without options
		}
	})
}

// StopTunnel ends the L2TP tunnel and nothing else, and begins none again.
func (d *Dialled) StopTunnel() {
	c := d.conn
	c.do(func(now time.Time) {
		c.dialer.keysOnly = true
		if c.tunnel != nil {
			c.tunnel.Close(now, l2tp.Result{Code: l2tp.StopRequest})
		}
	})
}

func (c *Conn) dialPhaseOneUp(now time.Time, p *phase1) {
	if c.dialer == nil || c.kids.sending != nil {
		return
	}
	if err := p.Negotiate(now, c.dialer.Child); err != nil {
		c.dialFailed(now, err.Error())
	}
}

// dialChildUp begins the tunnel on the first pair of ESP SAs.
func (c *Conn) dialChildUp(now time.Time) {
	if c.dialer == nil {
		return
	}
	c.dialDelete(now)
	if c.tunnel != nil || c.dialer.keysOnly {
		return
	}
	c.tunnel = l2tp.NewLAC(l2tp.Env{Config: c.policy.L2TP, Rand: c.srv.cfg.Rand}, now)
	c.changed = true
}

// dialDelete deletes all confirmed pairs but the one that sends, as built-in
// clients do. When both ends renewed at once that is not always the one that was
// confirmed last. They receive a while longer: packets are on their way.
func (c *Conn) dialDelete(now time.Time) {
	var spis []uint32
	for _, p := range c.kids.pairs {
		if p == c.kids.sending || !p.confirmed || p.deleted {
			continue
		}
		spis = append(spis, p.InSPI)
		p.deleted, p.renewed, p.expires = true, true, now.Add(deletedGrace)
	}
	if p := c.newest(); p != nil && len(spis) > 0 {
		p.DeleteChildren(now, spis)
	}
}

func (c *Conn) dialTunnelUp(now time.Time) {
	if c.dialer == nil {
		return
	}
	if _, err := c.tunnel.Call(now, c.dialer.Call); err != nil {
		c.dialFailed(now, err.Error())
	}
}

func (c *Conn) dialNetworkUp(now time.Time, s *session, e ppp.NetworkUp) {
	c.setup = time.Time{}
	s.up, s.since = true, now
	own := netip.PrefixFrom(e.Network.Peer, e.Network.Peer.BitLen())
	s.prefixes = []netip.Prefix{own}
	s.data.SetNetwork([]netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}, int(e.MTU))
	if err := c.srv.plane.Route(own, c.slot, s.data); err != nil {
		c.dialFailed(now, err.Error())
		return
	}
	c.changed = true
	c.publish()
	c.dialer.net, c.dialer.data = e.Network, s.data
	c.dialer.tell(nil)
}

// dialFailed ends a connection that we placed and that did not come up.
func (c *Conn) dialFailed(now time.Time, why string) {
	if c.dialer == nil || c.dialer.told {
		return
	}
	c.dialer.tell(fmt.Errorf("connecting to %v: %s", c.path.Remote, why))
	c.shut(now, EndLost)
}

// dialEnded tells whoever waits that the connection has ended before it was up.
func (c *Conn) dialEnded(why End) {
	if c.dialer != nil {
		c.dialer.tell(fmt.Errorf("connecting to %v: %v", c.path.Remote, why))
	}
}

func (d *dialer) tell(err error) {
	if !d.told {
		d.told = true
		d.result <- err
	}
}

// successor asks for a new pair like child.
func successor(child ike.Child) ike.ChildRequest {
	return ike.ChildRequest{
		IDi: child.IDr, IDr: child.IDi,
		Suites: []ike.ESPSuite{child.Suite}, Group: child.Suite.Group,
		Lifetime: child.Lifetime, Kilobytes: child.Kilobytes,
	}
}
