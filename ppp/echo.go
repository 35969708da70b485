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

// handleEcho takes Echo-Request, Echo-Reply and Discard-Request.
func (l *Link) handleEcho(now time.Time, p packet) error {
	if len(p.data) < 4 {
		return ErrMalformed
	}
	if p.code == codeEchoReply {
		l.checkProof(p.data[4:])
	}
	if p.code == codeEchoRequest {
		if m := binary.BigEndian.Uint32(p.data); m != 0 && m == l.echoMagic() {
			l.note(NoteLoop, ProtocolLCP, p.code)
			return ErrUnexpected
		}
	}
	l.fire(now, lcp{l}, evEcho, stimulus{packet: p})
	return nil
}

// sendEchoReply returns the request's data behind our own magic number.
func (l *Link) sendEchoReply(p packet) {
	data := append([]byte(nil), p.data...)
	binary.BigEndian.PutUint32(data, l.echoMagic())
	l.send(ProtocolLCP, codeEchoReply, p.id, data)
}
