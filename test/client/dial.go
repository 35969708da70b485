package client

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/dial"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/session"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/ppp"
)

// Dialled is one connection that was established.
type Dialled struct {
	Network ppp.Network
	Session *dataplane.Session

	call  *dial.Call
	line  *vpn.Placed
	ppp   *ppp.Config
	again byte // how often it has authenticated again
}

// watcher waits until a call is up, or has failed. Its methods are called on the
// connection's goroutine.
type watcher struct {
	target Target
	result chan error // one value
	told   bool
	net    ppp.Network
	data   *dataplane.Session
}

var _ dial.Watcher = (*watcher)(nil)

// connect places a call and returns once IP packets may flow. It fails when ctx ends, or
// with the reason of the layer that failed.
func connect(ctx context.Context, s *vpn.Server, c dial.Config, t Target) (*Dialled, error) {
	w := &watcher{target: t, result: make(chan error, 1)}
	call, err := dial.Place(s, c, w)
	if err != nil {
		return nil, err
	}
	select {
	case err := <-w.result:
		if err != nil {
			return nil, fmt.Errorf("connecting to %v: %w", c.Path.Remote, err)
		}
	case <-ctx.Done():
		call.Drop(t.Silent)
		return nil, ctx.Err()
	}
	return &Dialled{Network: w.net, Session: w.data, call: call, line: call.Line(), ppp: c.PPP}, nil
}

// Heard implements dial.Watcher.
func (w *watcher) Heard(time.Time) {}

// Up implements dial.Watcher.
func (w *watcher) Up(_ time.Time, e ppp.NetworkUp, data *dataplane.Session) {
	w.net, w.data = e.Network, data
	w.tell(nil)
}

// Up6 implements dial.Watcher.
func (w *watcher) Up6(e ppp.Network6Up) {
	if w.target.Network6 != nil {
		w.target.Network6(e)
	}
}

// Down implements dial.Watcher.
func (w *watcher) Down(time.Time) {}

// Packet implements dial.Watcher.
func (w *watcher) Packet(b []byte) {
	if w.target.Packets != nil {
		w.target.Packets(b)
	}
}

// Failed implements dial.Watcher: Ended says it, too.
func (w *watcher) Failed(string) {}

// Ended implements dial.Watcher.
func (w *watcher) Ended(why error) { w.tell(why) }

func (w *watcher) tell(err error) {
	if !w.told {
		w.told = true
		w.result <- err
	}
}

// Close closes every layer properly and waits until that is done.
func (d *Dialled) Close() {
	d.call.HangUp()
	<-d.line.Done()
}

// Done is closed when the connection has ended.
func (d *Dialled) Done() <-chan struct{} { return d.line.Done() }

// SendIP sends one IP packet, whatever its addresses are. The packet is copied.
func (d *Dialled) SendIP(b []byte) {
	frame := session.Frame(b)
	d.line.Do(func(now time.Time) { d.line.Send(now, frame) })
}

// Own sends packets that come from the device and from this prefix through the
// connection.
func (d *Dialled) Own(p netip.Prefix) {
	d.line.Do(func(time.Time) { d.line.Own(p) })
}

// Vanish ends the connection without a message, as if the power were cut.
func (d *Dialled) Vanish() {
	d.call.Drop(true)
	<-d.line.Done()
}

// Rekey begins a Quick Mode for a new pair of ESP SAs.
func (d *Dialled) Rekey(child ike.ChildRequest) {
	d.line.Do(func(now time.Time) {
		if err := d.line.Negotiate(now, child); err != nil {
			d.line.Refused(vpn.LayerIKE, err)
		}
	})
}

// Rephase begins a new phase 1 beside the present one, on the same ports.
func (d *Dialled) Rephase() { d.RephaseOn(ike.Path{}) }

// RephaseOn begins one over path, or on the connection's present path if path is
// zero.
func (d *Dialled) RephaseOn(path ike.Path) {
	d.line.Do(func(now time.Time) {
		if path == (ike.Path{}) {
			path = d.line.Path()
		}
		d.line.Phase1(now, path)
	})
}

// Reauthenticate makes LCP negotiate again, after which the link authenticates as
// this user.
func (d *Dialled) Reauthenticate(user, password string) {
	d.line.Do(func(now time.Time) {
		d.ppp.User, d.ppp.Password = user, secret.String(password)
		d.again++                                                                 // a new identifier each time, or it is taken for a retransmission
		d.line.Send(now, []byte{0xff, 0x03, 0xc0, 0x21, 1, 0xad + d.again, 0, 4}) // Configure-Request without options
	})
}

// StopTunnel ends only the L2TP tunnel: there is no other.
func (d *Dialled) StopTunnel() {
	d.line.Do(func(now time.Time) { d.line.StopTunnel(now) })
}
