package dial

import (
	"errors"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/l2tp"
	"github.com/adit-vpn/adit/ppp"
)

// Config is how a call is placed.
type Config struct {
	vpn.Calling
	Child ike.ChildRequest // zero: between the ends' ports 1701, with the policy's suites
}

// Watcher hears how a call goes.
type Watcher interface {
	// Heard says that the other end has answered, or spoken.
	Heard(now time.Time)
	// Up says that IPCP is open. It is called again if the network comes up again.
	Up(now time.Time, e ppp.NetworkUp, data *dataplane.Session)
	// Up6 says that IPV6CP is open.
	Up6(e ppp.Network6Up)
	// Down says, after Up, that nothing passes any more.
	Down(now time.Time)
	// Packet is a broadcast, multicast or link-local packet, borrowed for the call.
	Packet(b []byte)
	// Failed says why a call ends, before it has. It may be called more than once.
	Failed(why string)
	// Ended says that the call is over, and why. It is called once, last.
	Ended(why error)
}

// ErrStopping says that the server is stopping.
var ErrStopping = errors.New("the server is stopping")

// Call is one call.
type Call struct {
	line  *vpn.Placed
	bare  bool // without L2TP: the connection begins the tunnel itself
	child ike.ChildRequest
	watch Watcher

	// These belong to the connection's goroutine.
	up     bool  // the network was up once
	begun  bool  // the tunnel has begun
	failed error // what failed first
}

// port is L2TP's (RFC 2661, section 8.1).
const port = 1701

// Place begins a call.
func Place(s *vpn.Server, c Config, w Watcher) (*Call, error) {
	if c.Child.LocalPort == 0 {
		c.Child.LocalPort = port
	}
	if c.Bare != nil {
		c.Child.Protocol = c.Bare.Encap.Protocol
	}
	line := s.Place(c.Calling)
	if line == nil {
		return nil, ErrStopping
	}
	call := &Call{line: line, bare: c.Bare != nil, child: c.Child, watch: w}
	line.Begin(decider{call})
	return call, nil
}

// Line is the call's connection, for what only tests need.
func (c *Call) Line() *vpn.Placed { return c.line }

// HangUp says goodbye on every layer.
func (c *Call) HangUp() {
	c.line.Do(func(now time.Time) { c.line.Close(now, vpn.EndAdmin) })
}

// Drop ends the call at once. The other end is told by Deletes, unless silent.
func (c *Call) Drop(silent bool) {
	c.line.Do(func(now time.Time) { c.line.Drop(now, silent) })
}

// Done is closed when the call is over.
func (c *Call) Done() <-chan struct{} { return c.line.Done() }

// decider is the Call as its connection sees it.
type decider struct{ *Call }

var _ vpn.Caller = decider{}

// Heard implements vpn.Caller.
func (d decider) Heard(now time.Time) { d.watch.Heard(now) }

// PhaseOneUp implements vpn.Caller.
func (d decider) PhaseOneUp(now time.Time) {
	if err := d.line.Negotiate(now, d.child); err != nil {
		d.Failed(now, err.Error())
	}
}

// ChildUp implements vpn.Caller. The tunnel begins on the first pair of ESP SAs, and
// later pairs replace it.
func (d decider) ChildUp(now time.Time) {
	d.line.DeleteOld(now)
	if !d.begun && !d.bare {
		d.begun = true
		d.line.Tunnel(now)
	}
}

// TunnelUp implements vpn.Caller.
func (d decider) TunnelUp(now time.Time) {
	if err := d.line.Call(now, l2tp.Call{Serial: 1, TxSpeed: 1000000}); err != nil {
		d.Failed(now, err.Error())
	}
}

// NetworkUp implements vpn.Caller.
func (d decider) NetworkUp(now time.Time, e ppp.NetworkUp, data *dataplane.Session) {
	d.up = true
	d.watch.Up(now, e, data)
}

// Network6Up implements vpn.Caller.
func (d decider) Network6Up(e ppp.Network6Up) { d.watch.Up6(e) }

// NetworkDown implements vpn.Caller.
func (d decider) NetworkDown(now time.Time) { d.watch.Down(now) }

// Packet implements vpn.Caller.
func (d decider) Packet(b []byte) { d.watch.Packet(b) }

// Failed implements vpn.Caller. A call that does not come up ends.
func (d decider) Failed(now time.Time, why string) {
	if d.failed == nil {
		d.failed = errors.New(why)
	}
	d.watch.Failed(why)
	if !d.up {
		d.line.Close(now, vpn.EndLost)
	}
}

// Ended implements vpn.Caller.
func (d decider) Ended(why vpn.End) {
	if d.failed != nil {
		d.watch.Ended(d.failed)
		return
	}
	d.watch.Ended(errors.New(why.String()))
}
