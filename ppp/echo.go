package ppp

import (
	"encoding/binary"
	"time"
)

// echoState is liveness (RFC 1661, section 5.8): whatever comes from the peer
// proves it alive, an Echo-Request only asks when nothing came.
type echoState struct {
	on      bool
	off     bool // the peer does not know Echo-Requests
	heard   time.Time
	sent    int // unanswered, since heard
	last    time.Time
	counter byte // identifier of the last Echo-Request
}

func (l *Link) startEcho(now time.Time) {
	e := &l.s.echo
	e.on, e.heard, e.sent = l.env.Config.Echo > 0, now, 0
}

func (l *Link) stopEcho() { l.s.echo.on = false }

// heard takes a packet that was of use as a sign of life.
func (l *Link) heard(now time.Time, err error) error {
	if err == nil {
		l.hear(now)
	}
	return err
}

// hear takes a sign of life.
func (l *Link) hear(now time.Time) {
	l.s.echo.heard, l.s.echo.sent = now, 0
}

func (l *Link) echoDeadline() time.Time {
	e := &l.s.echo
	switch {
	case !e.on || e.off:
		return time.Time{}
	case e.sent == 0:
		return e.heard.Add(l.env.Config.Echo)
	}
	return e.last.Add(l.env.Config.Echo)
}

func (l *Link) handleEchoTimer(now time.Time) {
	if !due(now, l.echoDeadline()) {
		return
	}
	e := &l.s.echo
	if e.sent >= max(l.env.Config.EchoFailures, 1) {
		e.on = false
		l.Close(now, ReasonEchoTimeout)
		return
	}
	e.sent++
	e.last = now
	e.counter++
	l.send(ProtocolLCP, codeEchoRequest, e.counter, binary.BigEndian.AppendUint32(nil, l.echoMagic()))
}

// echoMagic is what we put into our own Echo packets: "Until the Magic-Number
// Configuration Option has been successfully negotiated, the Magic-Number MUST
// be transmitted as zero."
func (l *Link) echoMagic() uint32 {
	if l.s.lcp.noMagic {
		return 0
	}
	return l.s.lcp.magic
}

// magicLen is the Magic-Number's before the data of an Echo packet.
const magicLen = 4

// handleEcho takes Echo-Request, Echo-Reply and Discard-Request.
//
// Deviation: RFC 1661, section 5.8, has a magic number in all of them, and none
// that equals the receiver's. The question came inside ESP, and its answer needs
// neither: there are clients that send four bytes, or our own number back.
func (l *Link) handleEcho(now time.Time, p packet) error {
	if p.code == codeEchoReply && len(p.data) > magicLen {
		l.checkProof(p.data[magicLen:])
	}
	if l.ownEcho(p) {
		l.note(NoteLoop, ProtocolLCP, p.code)
	}
	l.fire(now, lcp{l}, evEcho, stimulus{packet: p})
	return nil
}

// ownEcho tells whether a packet may be an Echo-Request of our own come back: it
// has our magic number.
func (l *Link) ownEcho(p packet) bool {
	if p.code != codeEchoRequest || len(p.data) < magicLen {
		return false
	}
	m := binary.BigEndian.Uint32(p.data)
	return m != 0 && m == l.echoMagic()
}

// sendEchoReply returns the request's data behind our own magic number.
func (l *Link) sendEchoReply(p packet) {
	data := binary.BigEndian.AppendUint32(nil, l.echoMagic())
	if len(p.data) > magicLen {
		data = append(data, p.data[magicLen:]...)
	}
	l.send(ProtocolLCP, codeEchoReply, p.id, data)
}
