package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"layeh.com/radius"
)

// link is one socket or connection to a service: 256 identifiers, each for one request at a
// time (RFC 2865, section 3; RFC 6613, section 2.6.1). Its table belongs to the service's
// lock.
type link struct {
	conn   net.Conn
	stream bool // TLS: nothing is lost, so nothing is repeated
	old    bool // no new request takes it; it is closed when none waits
	closed bool

	slots   [256]*pending
	next    byte // so that an identifier rests as long as it can
	waiting int

	since   time.Time
	heard   time.Time // when it last carried something to us; since: never
	watched time.Time // when the watchdog gives the connection up; zero: it waits for nothing
	why     error     // why it was closed
}

// pending is a request that waits for its answer, or has waited: what comes late is known by
// it.
type pending struct {
	link       *link
	packet     *radius.Packet
	request    []byte // as it was sent: repeats are the same bytes
	accounting bool
	probe      bool // nobody waits but the service's health
	done       chan outcome
	sent       time.Time
	waits      bool
	answered   bool
	rests      time.Time // until when the identifier is not used again
	last       error     // why a reply to it was not believed

	late func(*radius.Packet) // takes a reply that comes when it waits no more; may be nil
}

// outcome is how a request ended.
type outcome struct {
	reply *radius.Packet
	err   error
}

// restOfUnanswered is how long an identifier is not used whose request was never answered:
// the server may still work on it, and would take the next one for a conflict with it.
const restOfUnanswered = 30 * time.Second

// take gives the request an identifier, nil if none is free.
func (l *link) take(now time.Time, p *radius.Packet) *pending {
	if l.old || l.closed || l.waiting == len(l.slots) {
		return nil
	}
	for range l.slots {
		id := l.next
		l.next++
		if was := l.slots[id]; was != nil && (was.waits || now.Before(was.rests)) {
			continue
		}
		p.Identifier = id
		w := &pending{link: l, packet: p, done: make(chan outcome, 1), sent: now, waits: true}
		l.slots[id] = w
		l.waiting++
		return w
	}
	return nil
}

// release ends a request's wait.
func (p *pending) release(now time.Time) {
	if !p.waits {
		return
	}
	p.waits = false
	p.link.waiting--
	if !p.answered {
		p.rests = now.Add(restOfUnanswered)
	}
}

// end ends a request's wait, and says how.
func (p *pending) end(now time.Time, o outcome) {
	if p.waits {
		p.release(now)
		p.done <- o
	}
}

// fail ends everything that waits on the link.
func (l *link) fail(now time.Time, err error) {
	for _, p := range l.slots {
		if p != nil {
			p.end(now, outcome{err: err})
		}
	}
}

// close closes the link, and ends what waits on it.
func (l *link) close(now time.Time) {
	if l.closed {
		return
	}
	l.closed = true
	if l.stream {
		go func() { _ = l.conn.Close() }() // TLS says goodbye, and may have to wait for that
	} else {
		_ = l.conn.Close()
	}
	err := errClosed
	if l.why != nil {
		err = fmt.Errorf("%w: %w", errClosed, l.why)
	}
	l.fail(now, err)
}

// errClosed says that a connection closed before the answer came.
var errClosed = errors.New("the connection was closed")

// errFraming says that what a stream carries is not RADIUS. RFC 6613, section 2.6.4: the
// connection cannot be used any more.
var errFraming = errors.New("what it sends is not RADIUS")

// receive reads the next packet: a datagram, or as much of a stream as a packet says that
// it is long (RFC 6613, section 2.6).
func receive(r io.Reader, stream bool, buf []byte) ([]byte, error) {
	if !stream {
		n, err := r.Read(buf)
		return buf[:n], err
	}
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(buf[2:4]))
	if n < 20 || n > radius.MaxPacketLength {
		return nil, errFraming
	}
	_, err := io.ReadFull(r, buf[4:n])
	return buf[:n], err
}
