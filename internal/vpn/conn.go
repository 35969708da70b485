package vpn

import (
	"runtime/debug"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/machine"
)

// Conn is one remote peer. Its goroutine owns all of it, except for its mailbox, its
// public part and its standing, as these say.
type Conn struct {
	id     uint64
	srv    *Server
	policy *Policy
	born   time.Time
	timer  *time.Timer

	caller  Caller   // the Caller that placed it, as a client: caller.go; nil: a server's connection
	calling *calling // how it was placed, nil likewise

	mailbox        // what others send to its goroutine: mailbox.go
	public         // what others read about it: list.go
	standing       // its place among the peers without a user, under the server's lock: guest.go
	phases1        // its ISAKMP SAs, and the peer's identity and endpoint: phase1.go
	esp            // its ESP SAs, and its slot of the data path: children.go
	control        // its L2TP tunnel: tunnel.go
	users          // its sessions: call.go
	bare     *bare // its tunnel without L2TP: bare.go; nil: it has none
	alive          // signs of life: alive.go
	userless       // until when it must have a user: userless.go
	farewell       // how it ends: shut.go
}

// grid is the step to which distant deadlines are rounded up, so that ten thousand idle
// connections wake together.
const grid = 100 * time.Millisecond

// handshakeTime bounds phase 1 from message 3 on, however often messages are repeated.
const handshakeTime = 3 * time.Minute

func (c *Conn) start() {
	c.setup = c.born.Add(max(c.policy.SetupTimeout, handshakeTime))
	go c.loop()
}

// loop serves the connection, which enlist has counted, until it ends.
func (c *Conn) loop() {
	defer c.srv.run.Done()
	c.timer = time.NewTimer(time.Hour)
	defer close(c.done)
	defer c.timer.Stop()
	defer c.recover()
	for now := time.Now(); c.pump(now); now = time.Now() {
		c.publish()
		c.arm(now)
		select {
		case <-c.waits:
			c.attend()
		case <-c.timer.C:
			c.expire(time.Now())
		}
	}
}

// attend ends a connection that must make room for another. Otherwise it handles the oldest
// order in the mailbox, or else the oldest note.
func (c *Conn) attend() {
	defer c.wakeAgain()
	select {
	case <-c.gone:
		c.finish(time.Now(), c.goneWhy)
		return
	default:
	}
	if f, ok := c.takeOrder(); ok {
		f(time.Now())
	} else if n, ok := c.takeNote(); ok {
		c.receive(time.Now(), n)
	}
}

// recover ends the connection, and no other, when its goroutine panics.
func (c *Conn) recover() {
	v := recover()
	if v == nil {
		return
	}
	c.srv.cfg.Observer.Observe(Panicked{c.who(), v, debug.Stack()})
	defer func() {
		if v := recover(); v != nil { // a broken connection cannot always be ended in an orderly way
			c.srv.cfg.Observer.Observe(Panicked{c.who(), v, debug.Stack()})
			c.srv.forget(c)
		}
	}()
	c.ended = false // if finish itself panicked, it starts over
	c.finish(time.Now(), EndPanic)
}

// pump drains the events of all layers until none is left. It reports whether the
// connection continues.
func (c *Conn) pump(now time.Time) bool {
	for more := true; more && !c.ended; {
		more = c.pumpIKE(now)
		more = c.pumpL2TP(now) || more
		more = c.pumpPPP(now) || more
		more = c.pumpClaim(now) || more
		more = c.pumpShut(now) || more
	}
	if !c.ended && c.mayEnd() {
		c.finish(now, c.why)
	}
	return !c.ended
}

// receive handles one packet or note.
func (c *Conn) receive(now time.Time, n dataplane.Note) {
	if c.caller != nil && (n.Kind == dataplane.NoteIKE || n.Kind == dataplane.NoteControl || n.Kind == dataplane.NoteFrame) {
		c.caller.Heard(now)
	}
	switch n.Kind {
	case dataplane.NoteIKE:
		if c.unpark(now, n) {
			return
		}
		if !c.receiveIKE(now, ike.Path{Local: n.Local, Remote: n.Remote, Marker: n.Marker}, n.Data) {
			c.keep(n)
		}
	case dataplane.NoteControl:
		c.receiveControl(now, n.SPI, n.Data, n.Late)
	case dataplane.NoteFrame:
		c.receiveFrame(now, n.Session, n.Data)
	case dataplane.NoteDamaged:
		if s := c.call(n.Session); s != nil {
			s.Damaged(now)
		}
	case dataplane.NoteFirstUse:
		c.used(now, n.SPI)
	case dataplane.NoteShown:
		c.shown(now, n.SPI, n.Session)
	case dataplane.NoteWrong:
		c.guessed(now, n.SPI)
	case dataplane.NoteMoved:
		c.move(now, ike.Path{Local: n.Local, Remote: n.Remote, Marker: c.path.Marker})
	case dataplane.NoteKilobytes:
		c.renew(now, n.SPI)
	case dataplane.NotePacket:
		c.receivePacket(n.Session, n.Data)
	case dataplane.NoteGroup:
		if s := c.call(n.Session); s != nil {
			c.srv.plane.Flood(s.data, n.Data)
		}
	}
}

// expire does what is due.
func (c *Conn) expire(now time.Time) {
	c.listen(now)
	for _, p := range c.phases {
		if due(p.Deadline(), now) {
			p.HandleTimer(now)
		}
	}
	if c.tunnel != nil && due(c.tunnel.Deadline(), now) {
		c.tunnel.HandleTimer(now)
	}
	for _, s := range c.calls {
		s.HandleTimer(now)
	}
	if c.claim != nil {
		c.claim.call.HandleTimer(now)
	}
	c.expireChildren(now)
	c.keepalive(now)
	switch {
	case due(c.setup, now):
		if to := c.placedTwin(); to != nil {
			c.join(now, to)
			return
		}
		c.shut(now, EndSetup)
	case due(c.linger, now):
		c.linger = time.Time{}
		c.shut(now, c.lingerEnd())
	case due(c.drain, now):
		c.finish(now, c.why)
	case due(c.doubt.deadline(), now):
		c.settle(now)
	}
	if due(c.rephaseAt(), now) {
		c.renewPhase(now)
	}
	c.probe(now)
}

// arm sets the timer to the earliest deadline of all layers.
func (c *Conn) arm(now time.Time) {
	next := machine.Earliest(c.setup, c.linger, c.drain, c.doubt.deadline(), c.kids.deadline(), c.keepaliveAt(), c.probeAt(), c.rephaseAt())
	for _, p := range c.phases {
		next = machine.Earliest(next, p.Deadline())
	}
	if c.tunnel != nil {
		next = machine.Earliest(next, c.tunnel.Deadline())
	}
	for _, s := range c.calls {
		next = machine.Earliest(next, s.Deadline())
	}
	if c.claim != nil {
		next = machine.Earliest(next, c.claim.call.Deadline())
	}
	if next.IsZero() {
		c.timer.Stop()
		return
	}
	wait := next.Sub(now)
	if wait > time.Second {
		rounded := next.Truncate(grid)
		if rounded.Before(next) {
			rounded = rounded.Add(grid)
		}
		wait = rounded.Sub(now)
	}
	c.timer.Reset(max(wait, 0))
}

func due(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// who identifies the connection in events.
func (c *Conn) who() Who {
	return Who{Conn: c.id, Remote: c.path.Remote, Local: c.path.Local, Client: c.peer.Kind, User: c.user, Device: c.device()}
}

func (c *Conn) observe(e Event) { c.srv.cfg.Observer.Observe(e) }
