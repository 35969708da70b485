package ppp

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// LCP options (RFC 1661, section 6; callback, which has 3 bytes: RFC 1570; MRRU and
// endpoint discriminator: RFC 1990).
const (
	lcpMRU   = 1
	lcpACCM  = 2
	lcpAuth  = 3
	lcpMagic = 5
	lcpPFC   = 7
	lcpACFC  = 8
)

// maxLoops is how many Configure-Requests with our own magic number prove a loop. Even a
// single match happens by chance only once in 2^32.
const maxLoops = 5

// lcpState is what LCP negotiates, in both directions.
type lcpState struct {
	automaton automaton

	magic   uint32 // ours; never 0 once started
	mru     uint16 // what we announce
	noMRU   bool   // the peer rejected the option
	noMagic bool
	method  Method // by which the peer is to authenticate itself: what we offer now; 0: by none
	refused uint8  // methods that the peer has refused, one bit each

	nakedMRU, nakedMagic unheeded

	peerMRU    uint16
	peerMethod Method // by which the peer has us authenticate ourselves; 0: by none
	loops      int
}

// lcp is the LCP layer of a link.
type lcp struct{ *Link }

func (y lcp) protocol() uint16 { return ProtocolLCP }
func (y lcp) auto() *automaton { return &y.s.lcp.automaton }

// resetLCP clears what was negotiated, for a negotiation from the start.
func (l *Link) resetLCP() {
	s := &l.s.lcp
	s.mru, s.noMRU, s.noMagic = l.mru(), false, false
	s.method, s.refused = 0, 0
	s.nakedMRU, s.nakedMagic = unheeded{}, unheeded{}
	if !l.env.Config.Client && len(l.env.Config.Methods) > 0 || l.env.Config.PeerAuth != PeerAuthNone {
		s.method = l.first(l.allowed)
	}
	s.peerMRU, s.peerMethod, s.loops = defaultMRU, 0, 0
	s.magic = l.randomMagic()
}

// mru is the MRU that the configuration has us announce.
func (l *Link) mru() uint16 {
	if l.env.Config.MRU == 0 {
		return defaultMRU
	}
	return max(l.env.Config.MRU, minMRU)
}

// options composes our Configure-Request: MRU, authentication, magic number. We do not
// ask for field compression, since some peers implement it badly, or for an ACCM, which
// has no meaning here.
func (y lcp) options() []byte {
	s := &y.s.lcp
	var b []byte
	if !s.noMRU {
		b = appendOption16(b, lcpMRU, s.mru)
	}
	if s.method != 0 {
		b = appendOption(b, lcpAuth, authOption(s.method)...)
	}
	if !s.noMagic {
		b = appendOption32(b, lcpMagic, s.magic)
	}
	if b == nil {
		b = []byte{} // empty, not nil: a request without options is still a request
	}
	return b
}

// authOption is the data of the authentication option for m.
func authOption(m Method) []byte {
	switch m {
	case MethodPAP:
		return []byte{0xc0, 0x23}
	case MethodCHAP:
		return []byte{0xc2, 0x23, 0x05}
	case MethodMSCHAPv2:
		return []byte{0xc2, 0x23, 0x81}
	case MethodEAP:
		return []byte{0xc2, 0x27}
	}
	return nil
}

// optionMethod is the method that an authentication option names; 0 if we do not support
// it.
func optionMethod(data []byte) Method {
	for m := MethodPAP; m <= MethodEAP; m++ {
		if slices.Equal(data, authOption(m)) {
			return m
		}
	}
	return 0
}

// judge decides about the peer's Configure-Request. Rejects go in a reply of their own,
// before any Naks: "Configure-Reject ... filtered to contain only unacceptable options"
// (RFC 1661, section 5.4).
func (y lcp) judge(opts []option) (byte, []byte) {
	v := newVerdict(y.Link, y)
	for _, o := range opts {
		switch o.kind {
		case lcpMRU:
			if len(o.data) != 2 || binary.BigEndian.Uint16(o.data) < minMRU {
				v.nak(o, appendOption16(nil, lcpMRU, y.mru()))
			}
		case lcpACCM:
			if len(o.data) != 4 {
				v.reject(o)
			}
		case lcpAuth:
			y.judgeAuth(&v, o)
		case lcpMagic:
			y.judgeMagic(&v, o)
		case lcpPFC, lcpACFC:
			if len(o.data) != 0 {
				v.reject(o)
			}
		default:
			// Callback, MRRU, endpoint discriminator, link quality and every unknown
			// option.
			v.reject(o)
		}
	}
	return v.result()
}

// judgeAuth handles the peer's demand that we authenticate. As authenticator we refuse to,
// unless there may be something to show; otherwise we accept the methods that the
// configuration allows.
func (y lcp) judgeAuth(v *verdict, o option) {
	if c := y.env.Config; !c.Client && (!c.Shows || y.s.mute) {
		v.reject(o)
		return
	}
	if !y.shows(optionMethod(o.data)) {
		want := y.first(y.shows)
		v.nak(o, appendOption(nil, lcpAuth, authOption(want)...))
	}
}

// configured tells whether the configuration includes method m.
func (l *Link) configured(m Method) bool {
	return l.env.Config.Client && len(l.env.Config.Methods) == 0 || slices.Contains(l.env.Config.Methods, m)
}

// allowed tells whether the peer may authenticate itself by method m. The methods of EAP are a
// server's.
func (l *Link) allowed(m Method) bool {
	return m != 0 && (m != MethodEAP || !l.env.Config.Client) && l.configured(m)
}

// shows tells whether we authenticate ourselves by method m: by EAP as client alone.
func (l *Link) shows(m Method) bool {
	return m != 0 && (m != MethodEAP || l.env.Config.Client) && l.configured(m)
}

// first is the first method of the configuration that is among some.
func (l *Link) first(among func(Method) bool) Method {
	if i := slices.IndexFunc(l.env.Config.Methods, among); i >= 0 {
		return l.env.Config.Methods[i]
	}
	return MethodMSCHAPv2
}

// judgeMagic follows RFC 1661, section 6.4: "A Magic-Number of zero is illegal and MUST
// always be Nak'd". A number that equals ours gets a Nak with another number; if that
// goes on, the link is looped back.
func (y lcp) judgeMagic(v *verdict, o option) {
	s := &y.s.lcp
	switch {
	case len(o.data) != 4 || binary.BigEndian.Uint32(o.data) == 0:
		v.nak(o, appendOption32(nil, lcpMagic, y.randomMagic()))
	case binary.BigEndian.Uint32(o.data) == s.magic && !s.noMagic && s.automaton.request != nil:
		y.note(NoteLoop, ProtocolLCP, codeConfigureRequest)
		if s.loops++; s.loops >= maxLoops {
			y.finish(ReasonLoop)
			return
		}
		v.suspect(appendOption32(nil, lcpMagic, y.randomMagic()))
	}
}

// accept applies the peer's options that we acknowledge.
func (y lcp) accept(opts []option) {
	s := &y.s.lcp
	s.peerMRU, s.peerMethod, s.loops = defaultMRU, 0, 0
	for _, o := range opts {
		switch o.kind {
		case lcpMRU:
			s.peerMRU = binary.BigEndian.Uint16(o.data)
		case lcpAuth:
			s.peerMethod = optionMethod(o.data)
		}
	}
}

// naked follows the peer's hints where they make sense, and leaves out an option on which
// there is no agreement. Options that we did not send stay out.
func (y lcp) naked(now time.Time, opts []option) {
	s := &y.s.lcp
	for _, o := range opts {
		switch o.kind {
		case lcpMRU:
			s.noMRU = y.nakMRU(o.data) || s.noMRU
		case lcpAuth:
			if s.method != 0 {
				y.nextMethod(now, optionMethod(o.data))
			}
		case lcpMagic:
			s.magic = y.randomMagic()
			s.noMagic = s.nakedMagic.spent(true) || s.noMagic
		}
	}
}

// nakMRU adopts the MRU that the peer suggests, and tells whether to leave the option
// out. Without the option our MRU is 1500 bytes (RFC 1661, section 6.1), as after a
// Reject.
func (y lcp) nakMRU(data []byte) (leave bool) {
	s := &y.s.lcp
	taken := false
	if len(data) == 2 {
		mru := binary.BigEndian.Uint16(data)
		if taken = mru >= minMRU && mru <= y.mru() && mru != s.mru; taken {
			s.mru = mru
		}
	}
	return s.nakedMRU.spent(taken)
}

// nextMethod replaces the method that the peer has just refused. The next one is the
// method that the peer asks for, if the configuration allows it, otherwise the next that
// the peer has not refused.
func (l *Link) nextMethod(now time.Time, hint Method) {
	s := &l.s.lcp
	l.note(NoteMethodRefused, ProtocolLCP, byte(s.method))
	s.refused |= 1 << s.method
	open := func(m Method) bool { return l.allowed(m) && s.refused&(1<<m) == 0 }
	if open(hint) {
		s.method = hint
		return
	}
	if i := slices.IndexFunc(l.env.Config.Methods, open); i >= 0 {
		s.method = l.env.Config.Methods[i]
		return
	}
	l.unauthenticated(now, "the peer refuses LCP "+optionName(ProtocolLCP, lcpAuth))
}

// unauthenticated goes without the peer's authentication, if that was only asked for, or
// ends the link.
func (l *Link) unauthenticated(now time.Time, why string) {
	if l.env.Config.Client && l.env.Config.PeerAuth == PeerAuthAsked {
		l.s.lcp.method = 0
		return
	}
	l.s.detail = why
	l.Close(now, ReasonAuthRefused)
}

// rejected leaves out the options that the peer rejects. Authentication is left out only by
// a client that can do without.
func (y lcp) rejected(now time.Time, opts []option) {
	for _, o := range opts {
		switch o.kind {
		case lcpMRU:
			y.s.lcp.noMRU = true
		case lcpMagic:
			y.s.lcp.noMagic = true
		case lcpAuth:
			y.note(NoteMethodRefused, ProtocolLCP, byte(y.s.lcp.method))
			y.unauthenticated(now, "the peer rejects LCP "+optionName(ProtocolLCP, lcpAuth))
		}
	}
}

// up is LCP's This-Layer-Up: both Configure-Acks are done, and authentication
// may begin (RFC 1661, section 3.5).
func (y lcp) up(now time.Time) {
	y.s.phase = phaseAuthenticate
	y.startEcho(now)
	y.emit(LinkUp{PeerMRU: y.s.lcp.peerMRU})
	y.startAuth(now)
}

// down is LCP's This-Layer-Down: every layer above starts afresh.
func (y lcp) down(now time.Time) {
	if y.s.phase == phaseNetwork {
		for n := range y.controls {
			if n.common().on {
				y.fire(now, n, evDown, stimulus{})
			}
		}
	}
	if y.s.setup.IsZero() { // it was authenticated; a link that was not gets no extra time
		y.startSetup(now)
	}
	y.stopAuth()
	y.stopEcho()
	y.s.network = time.Time{}
	y.s.phase = phaseEstablish
	y.resetLCP()
}

// finished is LCP's This-Layer-Finished: the link has ended.
func (y lcp) finished(_ time.Time, t trigger) {
	switch {
	case y.s.why != 0:
	case y.s.terminated:
		y.s.why = ReasonPeerTerminated
	case t == evGiveUp && !y.s.heard:
		y.s.why = ReasonNoAnswer
	default:
		y.s.why = ReasonNegotiation
		y.s.detail = silence(y.auto())
	}
	y.finish(y.s.why)
}

// handleLCP handles one LCP packet, in any phase.
func (l *Link) handleLCP(now time.Time, p packet) error {
	y := lcp{l}
	switch p.code {
	case codeTerminateRequest:
		return l.handleTerminate(now, p)
	case codeProtocolReject:
		return l.handleProtocolReject(now, p)
	case codeEchoRequest, codeEchoReply, codeDiscardRequest:
		return l.handleEcho(now, p)
	case codeIdentification:
		// Windows sends two or three right after LCP opens. RFC 1570, section 2.1,
		// requires no answer.
		if len(p.data) >= 4 {
			text := peerText(p.data[4:])
			l.s.named.take(text)
			l.emit(Note{Kind: NoteIdentification, Protocol: ProtocolLCP, Text: text})
		}
		return nil
	case codeTimeRemaining:
		return nil
	}
	return l.handleControl(now, y, p)
}

func (l *Link) handleTerminate(now time.Time, p packet) error {
	l.s.terminated = true
	l.s.peerText = peerText(p.data)
	if l.s.lcp.automaton.state == opened {
		l.fail(l.unproven(ReasonPeerTerminated))
	}
	return l.handleControl(now, lcp{l}, p)
}

// randomMagic returns a random number other than zero.
func (l *Link) randomMagic() uint32 {
	var b [4]byte
	for range 4 {
		if err := l.random(b[:]); err != nil {
			return 1
		}
		if v := binary.BigEndian.Uint32(b[:]); v != 0 {
			return v
		}
	}
	return 1
}

var errRandom = errors.New("no randomness")
