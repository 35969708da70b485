package vpn

import (
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/dataplane"
	"github.com/adit-vpn/adit/internal/machine"
	"github.com/adit-vpn/adit/l2tp"
)

// Conn is one remote peer. Its goroutine owns every field below the channels.
type Conn struct {
	id     uint64
	srv    *Server
	inbox  chan dataplane.Note    // packets and notes; drops when full
	queued atomic.Int64           // bytes of the notes there
	orders chan func(time.Time)   // verdicts, disconnect; never lost
	done   chan struct{}          // closed when the goroutine has ended
	gone   chan struct{}          // closed when it is evicted as a stranger
	source netip.Prefix           // that it came from first; constant
	info   atomic.Pointer[Status] // for List
	ident  atomic.Pointer[identity]
	guest  bool        // counted as one; the server's lock guards it
	leaves atomic.Bool // says goodbye: nothing joins it

	policy *Policy
	dialer *dialer // as client; nil as server
	born   time.Time
	timer  *time.Timer

	path       ike.Path // the peer's endpoint and ours
	peer       ike.Peer // of the newest authenticated phase 1
	user       string
	host       string // the peer's L2TP Host Name
	phases     []*phase1
	early      []dataplane.Note // of a phase 1 that is on its way here
	slot       *dataplane.Slot
	kids       children
	tunnel     *l2tp.Tunnel
	under      *phase1 // the newest ISAKMP SA when the tunnel began
	calls      []*session
	peerTunnel uint16
	parked     *parked // a phase 1 that may belong to another connection; nil: none
	waiting    []*Conn // whose parked phase 1 may belong to this connection, newest last
	claim      *claim  // that another connection's tunnel is this client's; nil: none
	claims     int     // how many there were

	setup   time.Time // a user must be authenticated by then; zero: one is
	linger  time.Time // without a tunnel or ESP SAs, the end
	doubt   doubt     // whether the client is still there
	alive   time.Time // when the peer last asked by dead peer detection, or answered it
	asked   time.Time // when dead peer detection last asked; zero: it need not
	drain   time.Time // goodbyes are over by then; zero: not closing
	heard   time.Time // when the peer's last packet came that the machines know of
	sent    time.Time // when something last left, for the NAT keepalive
	changed bool      // the data path's view is out of date
	carried bool      // a pair of ESP SAs has carried traffic
	told    bool      // it was reported why the last Quick Mode was refused
	stopped bool      // StopCCN was said
	ended   bool
	why     End
	detail  string // of why: what could not be agreed on
}

// phase1 is one ISAKMP SA of a connection.
type phase1 struct {
	*ike.SA
	owner   *Conn // who allocates SPIs for it; changes with adoption
	cookies ike.Cookies
	half    bool    // not authenticated yet
	unheard bool    // its peer has not shown that it hears what is sent to the connection's endpoint
	asked   shownAt // where messages of ours went while that was so
	fetched bool    // we need it, to renew keys
	told    bool    // it was reported why the peer's proof was refused
	dead    bool
}

const (
	inboxSize = 32
	// inboxBytes bounds what waits there: packets of 1500 bytes by their number
	// alone, and few of IKE's largest messages. Anybody can have connections made
	// that wait for processor time.
	inboxBytes = 3 * maxIKEMessage
	// grid is what distant deadlines are rounded up to, so that ten thousand
	// idle connections wake together.
	grid = 100 * time.Millisecond
)

// Deliver implements dataplane.Inbox. It copies the note's data.
func (c *Conn) Deliver(n dataplane.Note) bool {
	if size := int64(len(n.Data)); size > 0 {
		if c.queued.Add(size) > inboxBytes {
			c.queued.Add(-size)
			return false
		}
		n.Data = append([]byte(nil), n.Data...)
	}
	select {
	case c.inbox <- n:
		return true
	default:
		c.queued.Add(-int64(len(n.Data)))
		return false
	}
}

// taken says that a note has left the inbox.
func (c *Conn) taken(n dataplane.Note) { c.queued.Add(-int64(len(n.Data))) }

// do has f run on the connection's goroutine, unless that has ended.
func (c *Conn) do(f func(time.Time)) {
	select {
	case c.orders <- f:
	case <-c.done:
	}
}

func (c *Conn) start() {
	c.setup = c.born.Add(max(c.policy.SetupTimeout, handshakeTime))
	c.srv.run.Go(c.loop)
}

func (c *Conn) loop() {
	c.timer = time.NewTimer(time.Hour)
	defer close(c.done)
	defer c.timer.Stop()
	defer c.recover()
	for now := time.Now(); c.pump(now); now = time.Now() {
		c.publish()
		c.arm(now)
		select {
		case n := <-c.inbox:
			c.taken(n)
			c.receive(time.Now(), n)
		case f := <-c.orders:
			f(time.Now())
		case <-c.timer.C:
			c.expire(time.Now())
		case <-c.gone:
			c.finish(time.Now(), EndEvicted)
		}
	}
}

// recover ends the connection, and only it, when its goroutine panics.
func (c *Conn) recover() {
	v := recover()
	if v == nil {
		return
	}
	c.srv.cfg.Observer.Observe(Panicked{c.who(), v, debug.Stack()})
	defer func() {
		if v := recover(); v != nil { // what is broken cannot always be ended in order
			c.srv.cfg.Observer.Observe(Panicked{c.who(), v, debug.Stack()})
			c.srv.forget(c)
		}
	}()
	c.ended = false // where finish itself panicked, it begins again
	c.finish(time.Now(), EndPanic)
}

// pump drains all layers' events until none has any. It reports whether the
// connection lives on.
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
	switch n.Kind {
	case dataplane.NoteIKE:
		if c.unpark(now, n) {
			return
		}
		if !c.receiveIKE(now, ike.Path{Local: n.Local, Remote: n.Remote, Marker: n.Marker}, n.Data) {
			c.keep(n)
		}
	case dataplane.NoteControl:
		c.receiveControl(now, n.Data, n.Late)
	case dataplane.NoteFrame:
		c.receiveFrame(now, n.Session, n.Data)
	case dataplane.NoteFirstUse:
		c.used(now, n.SPI)
	case dataplane.NoteMoved:
		c.move(now, ike.Path{Local: n.Local, Remote: n.Remote, Marker: c.path.Marker})
	case dataplane.NoteKilobytes:
		c.renew(now, n.SPI)
	case dataplane.NotePacket:
		c.receivePacket(now, n.Session, n.Data)
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
		s.expire(now)
	}
	if c.claim != nil {
		c.claim.session.link.HandleTimer(now)
	}
	c.expireChildren(now)
	c.keepalive(now)
	switch {
	case due(c.setup, now):
		c.shut(now, EndSetup)
	case due(c.linger, now):
		c.linger = time.Time{}
		c.shut(now, c.lingerEnd())
	case due(c.drain, now):
		c.finish(now, c.why)
	case due(c.doubt.until, now):
		c.settle(now)
	}
	c.probe(now)
}

// listen tells the machines of traffic that the data path saw: received data
// is as good as an answer to a Hello or an Echo-Request.
func (c *Conn) listen(now time.Time) {
	if c.slot == nil {
		return
	}
	last := c.slot.LastIn()
	if last.Equal(c.heard) {
		return
	}
	c.heard, c.asked = last, time.Time{}
	if last.After(now) {
		last = now // the clock was set back
	}
	if c.tunnel != nil {
		c.tunnel.HandleData(last)
	}
	for _, s := range c.calls {
		s.link.HandleData(last)
	}
}

// arm sets the timer to the earliest deadline of all layers.
func (c *Conn) arm(now time.Time) {
	next := machine.Earliest(c.setup, c.linger, c.drain, c.doubt.until, c.kids.deadline(), c.keepaliveAt(), c.probeAt())
	for _, p := range c.phases {
		next = machine.Earliest(next, p.Deadline())
	}
	if c.tunnel != nil {
		next = machine.Earliest(next, c.tunnel.Deadline())
	}
	for _, s := range c.calls {
		next = machine.Earliest(next, s.deadline())
	}
	if c.claim != nil {
		next = machine.Earliest(next, c.claim.session.link.Deadline())
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

// who names the connection in events.
func (c *Conn) who() Who {
	return Who{Conn: c.id, Remote: c.path.Remote, Local: c.path.Local, Client: c.peer.Kind, User: c.user}
}

func (c *Conn) observe(e Event) { c.srv.cfg.Observer.Observe(e) }

// move follows the peer to another endpoint.
func (c *Conn) move(now time.Time, to ike.Path) {
	if to == c.path || !c.peer.Encap {
		return
	}
	from := c.path.Remote
	c.path = to
	c.changed = true
	c.srv.moved(c, from)
	for _, p := range c.phases {
		p.Move(to)
	}
	if from != to.Remote {
		c.observe(Moved{c.who(), from})
	}
	if from.Addr() != to.Remote.Addr() {
		for _, s := range c.calls {
			s.link.Prove(now)
		}
	}
}

// keepaliveAt is when a NAT keepalive is due (RFC 3948, section 4): only where
// a NAT stands before us, for the peer keeps its own open.
func (c *Conn) keepaliveAt() time.Time {
	if c.policy.Keepalive == 0 || !c.peer.LocalNAT || c.slot == nil {
		return time.Time{}
	}
	return c.sent.Add(c.policy.Keepalive)
}

func (c *Conn) keepalive(now time.Time) {
	if due(c.keepaliveAt(), now) {
		c.sent = now
		_ = c.slot.SendKeepalive() // lost like any datagram
	}
}
