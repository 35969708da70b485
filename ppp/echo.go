package ppp

import (
	"encoding/binary"
	"time"
)

// echoState is the liveness check (RFC 1661, section 5.8). Any packet from the peer
// proves that it is alive; an Echo-Request is sent only after a period of silence.
type echoState struct {
	on      bool
	off     bool // the peer rejects Echo-Requests as unknown
	heard   time.Time
	sent    int // unanswered, since heard
	last    time.Time
	counter byte // identifier of the last Echo-Request
}

func (l *Link) startEcho(now time.Time) {
	e := &l.s.echo
	e.on, e.heard, e.sent = l.env.Config.Echo > 0, now, 0
}

// SetRouter says, as authenticator, that the peer is a router: it may go without an address,
// and is asked after another silence than Config.Echo, if it is asked at all. The driver
// says it again after Resume.
//
// Who names no address is not asked to take one, because a repeated Configure-Request would
// be acknowledged after that, and the next one, which answers our Nak, would renegotiate.
func (l *Link) SetRouter(echo time.Duration) {
	c := *l.env.Config
	c.Echo, c.Unnumbered = echo, true
	l.env.Config = &c
}

func (l *Link) stopEcho() { l.s.echo.on = false }

// heard counts a packet as a sign of life, unless handling it returned an error.
func (l *Link) heard(now time.Time, err error) error {
	if err == nil {
		l.hear(now)
	}
	return err
}

// hear records a sign of life.
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

// echoMagic is the magic number in our own Echo packets: "Until the Magic-Number
// Configuration Option has been successfully negotiated, the Magic-Number MUST be
// transmitted as zero."
func (l *Link) echoMagic() uint32 {
	if l.s.lcp.noMagic {
		return 0
	}
	return l.s.lcp.magic
}

// magicLen is the length of the Magic-Number that precedes the data of an Echo packet.
const magicLen = 4

// handleEcho handles Echo-Request, Echo-Reply and Discard-Request.
//
// Deviation: RFC 1661, section 5.8, requires a magic number in all of them, and forbids
// one that equals the receiver's. Neither rule is enforced here: the request came inside
// ESP, and some clients send only four bytes, or send our own number back.
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

// ownEcho tells whether a packet may be our own Echo-Request looped back: it carries our
// magic number.
func (l *Link) ownEcho(p packet) bool {
	if p.code != codeEchoRequest || len(p.data) < magicLen {
		return false
	}
	m := binary.BigEndian.Uint32(p.data)
	return m != 0 && m == l.echoMagic()
}

// sendEchoReply returns the data of the request after our own magic number.
func (l *Link) sendEchoReply(p packet) {
	data := binary.BigEndian.AppendUint32(nil, l.echoMagic())
	if len(p.data) > magicLen {
		data = append(data, p.data[magicLen:]...)
	}
	l.send(ProtocolLCP, codeEchoReply, p.id, data)
}
