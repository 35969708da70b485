package radius

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"layeh.com/radius"

	"github.com/adit-vpn/adit/internal/secret"
)

// kind tells the two services of a server apart.
type kind uint8

const (
	authentication kind = iota + 1
	accounting
	both // over one TLS connection (RFC 6614, section 2.5)
)

func (k kind) String() string {
	return [...]string{"", "authentication", "accounting", "both"}[k]
}

// identity is all that makes one service another one after a reload.
type identity struct {
	kind     kind
	address  string
	secret   secret.Bytes
	unsigned bool // replies need no Message-Authenticator
	source   netip.Addr
	tls      string // which certificates; "": UDP
}

func (a identity) is(b identity) bool {
	return a.kind == b.kind && a.address == b.address && a.secret.Equal(b.secret) &&
		a.unsigned == b.unsigned && a.source == b.source && a.tls == b.tls
}

// service is where requests of one kind are sent: an address, its health, and a few links
// to it that live long. Of a TLS connection both kinds share one.
type service struct {
	identity
	open  func(context.Context) (net.Conn, error)
	nas   func() string                                                   // NAS-Identifier, for probes
	tell  func(Event)                                                     // may be nil
	asked func(server string, secret, request []byte, reply func([]byte)) // likewise

	ctx    context.Context // of everything that it does by itself
	cancel context.CancelFunc

	mu      sync.Mutex
	health  health
	links   []*link
	dialing *dial
	owed    probes        // to be sent as soon as there is a link
	out     []*pending    // probes to be written once the lock is free
	fallen  chan struct{} // closed while it is down
	clock   *time.Timer
	asking  int       // requests that have it
	gone    time.Time // when it may end, since the configuration names it no more; zero: it does
	again   reconnect
	local   string // our address, as the server sees it; "": not known yet
	count   counts
}

func newService(id identity) *service {
	s := &service{identity: id, health: health{accounting: id.kind == accounting}, fallen: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.clock = time.AfterFunc(time.Hour, s.tick)
	s.clock.Stop()
	return s
}

// do changes the service's state, and does what follows from the change.
func (s *service) do(change func(now time.Time)) {
	now := time.Now()
	s.mu.Lock()
	was := s.health.away()
	change(now)
	is, event := s.health.away(), Event{}
	switch {
	case is && !was:
		close(s.fallen)
		event = Event{Server: s.address, Service: s.kind.String(), Why: s.why()}
	case was && !is:
		s.fallen = make(chan struct{})
		event = Event{Server: s.address, Service: s.kind.String(), Up: true}
	}
	s.tidy(now)
	s.arm(now)
	tell, out := s.tell, s.out
	s.out = nil
	if !s.gone.IsZero() {
		tell = nil
	}
	s.mu.Unlock()
	for _, p := range out {
		s.write(p, false)
	}
	if is != was && tell != nil {
		tell(event)
	}
}

// arm sets the clock to the next step. s.mu is locked.
func (s *service) arm(now time.Time) {
	at := s.health.deadline()
	for _, l := range s.links {
		if t := l.watch(); !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if s.gone.After(now) && (at.IsZero() || s.gone.Before(at)) {
		at = s.gone
	}
	if at.IsZero() || s.ctx.Err() != nil {
		s.clock.Stop()
		return
	}
	s.clock.Reset(max(0, at.Sub(now)))
}

// tick is called by the clock.
func (s *service) tick() {
	s.do(func(now time.Time) {
		if s.ctx.Err() != nil {
			return
		}
		was := s.health.state
		send := s.health.timer(now)
		switch is := s.health.state; {
		case is == Probing && was != is && s.tls == "":
			s.renew() // with another port, by a name's newer address, from our newer one
		case is == Down && was == Suspect && s.tls != "" && s.health.status:
			for _, l := range s.links { // it has answered Status-Server before: its silence is real
				l.close(now)
			}
		}
		s.owe(now, send)
		for _, l := range s.links {
			s.guard(now, l)
		}
	})
}

// renew has what is sent from now on leave by other sockets. s.mu is locked.
func (s *service) renew() {
	for _, l := range s.links {
		l.old = true
	}
}

// tidy closes what nothing waits on any more. s.mu is locked.
func (s *service) tidy(now time.Time) {
	kept := s.links[:0]
	for _, l := range s.links {
		if l.old && l.waiting == 0 {
			l.close(now)
		}
		if !l.closed {
			kept = append(kept, l)
		}
	}
	clear(s.links[len(kept):])
	s.links = kept
	if !s.gone.IsZero() && !now.Before(s.gone) && s.asking == 0 {
		s.shut(now)
	}
}

// shut ends everything. s.mu is locked.
func (s *service) shut(now time.Time) {
	s.cancel()
	s.clock.Stop()
	for _, l := range s.links {
		l.close(now)
	}
	s.links = nil
}

// lingers is for how long a service stays that the configuration names no more: longer than a
// client takes for its next answer, so that a conversation that has begun there ends there.
const lingers = time.Minute

// retire ends the service once nobody waits for it, nor continues a conversation with it.
func (s *service) retire() { s.do(func(now time.Time) { s.gone = now.Add(lingers) }) }

// close ends the service at once.
func (s *service) close() {
	s.do(func(now time.Time) {
		s.gone = now
		s.shut(now)
	})
}

// away reports whether others are asked before it, and whether it wants a real request to
// try it.
func (s *service) away() (away, trial bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health.away(), s.health.trial
}

// why says why the service is down. s.mu is locked.
func (s *service) why() error {
	if s.health.why != nil {
		return s.health.why
	}
	for _, l := range s.links {
		for _, p := range l.slots {
			if p != nil && p.last != nil && !p.answered {
				return p.last
			}
		}
	}
	return s.silent()
}

// silent is the error of a server that says nothing. RFC 2865, section 2: "A request from a
// client for which the RADIUS server does not have a shared secret MUST be silently
// discarded." s.mu is locked.
func (s *service) silent() error {
	return fmt.Errorf("%w: it keeps silent, as it also does if it does not know %s as a client, or has another secret for it", ErrNoAnswer, cmp.Or(s.local, "this host"))
}

// refusal reports whether an error is the network's.
func refusal(err error) bool {
	var network syscall.Errno
	return errors.As(err, &network)
}

// hostOf is an address without its port.
func hostOf(a net.Addr) string {
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}

// unreachable is the error of a socket without its addresses, which the
// caller names.
func unreachable(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

// arrived takes a packet that came on a link. What is not a believable reply is counted and
// dropped: anybody can send one.
func (s *service) arrived(l *link, b []byte) {
	if l.stream && s.asked != nil && isDynamic(b) {
		s.do(func(now time.Time) { l.heard, l.watched = now, time.Time{} })
		s.asked(s.address, s.secret.Reveal(), append([]byte(nil), b...), func(reply []byte) {
			_ = l.conn.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err := l.conn.Write(reply); err != nil { // after half a record nothing more can be written
				s.broken(l, err)
			}
		})
		return
	}
	s.mu.Lock()
	var p *pending
	if len(b) >= 20 {
		p = l.slots[b[1]]
	}
	s.mu.Unlock()
	why, err, reply := dropForeign, error(nil), (*radius.Packet)(nil)
	var late func(*radius.Packet)
	if p != nil {
		reply, err = verify(b, p, s.unsigned) // what it reads of p does not change
		why = dropOf(err)
	}
	s.do(func(now time.Time) {
		l.heard, l.watched = now, time.Time{}
		switch {
		case p == nil || why != 0:
			s.count.dropped[why]++
			if p != nil && ofServer(err) {
				p.last = err
				p.end(now, outcome{err: err}) // the server would send the same again
			} else if p != nil && err != nil && !errors.Is(err, errNotOurs) {
				p.last = err
			}
			return
		case p.answered:
			s.count.dropped[dropDuplicate]++
			return
		case !p.waits && !p.probe:
			s.count.dropped[dropLate]++
			late = p.late
		}
		p.answered = true
		s.count.heard(now.Sub(p.sent), p)
		s.health.answered(now, p.packet.Code == radius.CodeStatusServer)
		s.again = reconnect{}
		p.rests = time.Time{}
		p.end(now, outcome{reply: reply})
	})
	if late != nil {
		late(reply)
	}
}

// broken takes a link's error.
func (s *service) broken(l *link, err error) (ended bool) {
	s.do(func(now time.Time) {
		if l.closed {
			ended = true
			return
		}
		if l.stream {
			// The requests that wait go elsewhere, with other identifiers.
			if l.heard.Equal(l.since) {
				// With TLS 1.3 our end of the handshake is done before the server has seen our certificate.
				err = fmt.Errorf("it closes the connection before it says anything, as it does if it does not accept our certificate: %w", err)
				s.health.failed(now, fmt.Errorf("%w: %w", ErrNoAnswer, err))
			} else if errors.Is(err, errFraming) {
				s.health.failed(now, fmt.Errorf("%w: %w", ErrNoAnswer, err))
			}
			s.again.failed(now)
			l.why = err
			l.close(now)
			ended = true
			return
		}
		// An ICMP message says that nothing is there, or that no way leads there.
		err = unreachable(err)
		s.health.failed(now, err)
		l.fail(now, err)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			l.close(now)
			ended = true
		}
	})
	return ended
}

// read takes what comes on a link until it is closed.
func (s *service) read(l *link) {
	buf := make([]byte, radius.MaxPacketLength)
	for {
		b, err := receive(l.conn, l.stream, buf)
		if err != nil {
			if s.broken(l, err) {
				return
			}
			continue
		}
		s.arrived(l, b)
	}
}
